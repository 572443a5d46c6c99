"""The flags of ``vp-jax sample``, grouped by input, output, look and machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vp_jax.inference.inputs import FITS
from vp_jax.inference.settings import FILLS, MODES, SAMPLER_NAMES
from vp_jax.inference.task import FILL, TASKS
from vp_jax.media.cuts import AUTO
from vp_jax.media.fit import FIT_NAMES
from vp_jax.media.video import FOLDER_FPS
from vp_jax.models.config import WEIGHT_FORMS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command, in groups."""
    _input_flags(parser.add_argument_group("input").add_argument)
    _output_flags(parser.add_argument_group("output").add_argument)
    _look_flags(parser.add_argument_group("look").add_argument)
    _machine_flags(parser.add_argument_group("machine").add_argument)


def _input_flags(flag: Any) -> None:
    flag("--video", type=Path, help="video file or folder of frames; with neither this nor --mask, a drawn clip")
    flag(
        "--mask",
        type=Path,
        help="video, folder, image or .npz of labels; or box:x,y,w,h, points:x,y;x,y, words: tracked",
    )
    flag(
        "--segmenter",
        default="grabcut",
        metavar="NAME:WEIGHTS",
        help="what tracks --mask: grabcut (default), sam2_video:DIR, edgetam_video:DIR, sam3_video:DIR (words), "
        "grounding_dino:DIR,SAM2_DIR (words)",
    )
    flag("--task", choices=TASKS, default=FILL, help="remove: fill the hole, grown, with background; needs no prompt")
    flag("--affected", type=Path, help="mask of what may move once the thing is gone; VOID checkpoints, --task remove")
    flag(
        "--extend", metavar="SIDES", help="pixels to add, left=160,right=160, or an aspect, 16:9; then --mask may miss"
    )
    flag("--prompt", help="what the finished video shows")
    flag("--negative_prompt", help="what it should not show; default: nothing, of --task remove: objects")
    flag("--prompts", type=Path, help=".json of prompts per window or span of time; --prompt fills the gaps")
    flag("--prompt_embeds", type=Path, help=".npz with prompt_embeds and negative_prompt_embeds (1, M, E)")
    flag("--mask_id", type=int, help="label that is the hole, for .npz and label images")
    flag("--mask_dilate", type=int, help="grow the hole by so many source pixels on each side; --task remove grows it")
    flag("--invert_mask", action="store_true", help="white marks what is kept")
    flag("--mask_resize", action="store_true", help="allow a mask of another size (nearest)")
    flag("--mask_fit", choices=FITS, help="allow a mask of another length: hold its last frame, or cut the video")
    flag("--first_frame", help="image to start from, or 'original' to keep frame 0; default: frame 0 is generated too")
    flag("--cuts", default=AUTO, help="frames that begin a shot, 48,120, or off; default: auto, they are looked for")
    flag("--start", type=int, default=0, help="first source frame")
    flag("--stop", type=int, help="source frame to stop before")
    flag("--fps", type=float, help="thin the source to about this rate, every floor(fps / FPS)-th frame")
    flag("--folder_fps", type=float, help=f"rate of a folder of frames, which states none; default: {FOLDER_FPS}")


def _output_flags(flag: Any) -> None:
    flag(
        "--table", type=Path, help=".csv of jobs: columns are flags, a row is a job; flags given here hold for all rows"
    )
    flag("--out", type=Path, help=".mkv or a folder of PNG (lossless), .mp4 .mov .webm, .gif (8 bits, 256 colours)")
    flag("--quality", type=int, help="of mp4, mov and webm, 0 (best) to 51; default: 17")
    flag("--preview", type=Path, help="write this picture (.png) of video and mask, and generate nothing")
    flag("--report", type=Path, help="also write this page (.html) to look at in a browser; nano always does")
    flag("--comparison", action="store_true", default=True, help="write OUT_comparison.mp4, four panels (default)")
    flag(
        "--no_comparison",
        action="store_false",
        dest="comparison",
        help="leave it off: a page has a slider; otherwise it grows in OUT.job and can be watched while the job runs",
    )
    flag("--composite", action="store_true", default=True, help="paste into the source (default)")
    flag("--no_composite", action="store_false", dest="composite", help="keep the model's background too")
    flag("--keep_job", action="store_true", default=None, help="keep OUT.job with the states of a clip weight")
    flag(
        "--no_keep_job",
        action="store_false",
        dest="keep_job",
        default=None,
        help="remove OUT.job after the run; default: it stays, with the latents, if there are several windows",
    )
    flag(
        "--redo_window", type=int, metavar="N", help="make window N of OUT.job anew, with the --seed or --prompt given"
    )
    flag("--fresh", action="store_true", help="drop what another, interrupted run left in OUT.job")
    flag("--dry_run", action="store_true", help="check, print windows, sizes and memory, and stop")
    flag("--feather", type=int, default=0, help="pixels inside the hole's rim over which source and result blend")


def _look_flags(flag: Any) -> None:
    flag("--checkpoint", type=Path, help="folder of converted weights; default: the packaged nano model")
    flag("--verify", action="store_true", help="compare all of the checkpoint with its digests, not only what is read")
    flag("--steps", type=int, help="denoising steps per window; default: 50, nano 20")
    flag("--guidance", type=float, help="how closely to follow the prompt; default: 6, nano 3")
    flag("--guidance_start", type=float, help="part of the steps, 0 to 1, before which guidance is off; default: 0")
    flag("--guidance_stop", type=float, help="part of the steps, 0 to 1, after which guidance is off; default: 1")
    flag(
        "--step_cache", metavar="FACTOR", help="reuse estimates: 1.5x for fewer network calls, or a drift; default: no"
    )
    flag(
        "--background_every",
        type=int,
        metavar="K",
        help="compute what is far from the hole at every K-th step only; default: 1",
    )
    flag("--static_guidance", action="store_true", help="the same guidance at every step; nano always does")
    flag("--sampler", choices=SAMPLER_NAMES, help="default: dpm")
    flag("--seed", type=int, help="of all noise; default: 42")
    flag("--window", type=int, help="frames generated together; default: the model's")
    flag("--overlap", type=int, help="frames that neighbours share; default: a sixth of the window (reference mode: 0)")
    flag("--mode", choices=MODES, help="reference repeats the published behaviour, flaws included")
    flag("--clip_weight", type=float, help="0 to 1, how much the ID adapter looks at the previous window; default: 0")
    flag(
        "--joint",
        action="store_true",
        default=None,
        help="denoise overlapping windows together: their predictions are averaged at every step",
    )
    flag("--no_joint", action="store_false", dest="joint", default=None, help="in turn; the default but for VOID")
    flag(
        "--replace_background",
        action="store_true",
        default=None,
        help="put the source's latents back outside the hole after every step; default: the model's",
    )
    flag(
        "--no_replace_background",
        action="store_false",
        dest="replace_background",
        default=None,
        help="leave the background to the model; the default of Fun-InP and VOID, which see it",
    )
    flag("--hole_fill", choices=FILLS, help="what the holes hold where the background is encoded; default: smooth")
    flag("--id_adapter", choices=("auto", "off"), default="auto", help="auto: used if the checkpoint has one")
    flag("--id_scale", type=float, default=1.0, help="LoRA scale of the ID adapter; default: 1")
    flag("--lora", action="append", default=[], metavar="PATH[:SCALE]", help="a style adapter; may be repeated")
    flag("--fit", choices=FIT_NAMES, default="stretch", help="crop follows the hole at full detail, letterbox pads")
    flag("--height", type=int, help="of the generated video; default: the model's")
    flag("--width", type=int, help="of the generated video; default: the model's")


def _machine_flags(flag: Any) -> None:
    flag("--precision", choices=("bfloat16", "float32"), help="default: bfloat16, nano float32")
    flag(
        "--weights",
        choices=WEIGHT_FORMS,
        help="int8: matrices of blocks, half the memory; host: blocks wait in its memory; default: --precision",
    )
    flag("--attention", help="attention backend; default: the fastest for the device")
    flag("--mesh", metavar="AXIS=SIZE,...", help="divide a video over devices: auto (all), or data=2,context=4")
    flag("--memory", metavar="24GB", help="of the device: what needs more is changed to fit, or refused before loading")
    flag("--compilation_cache", metavar="DIR|off", help="keep compiled programs here; default: the user's cache")
