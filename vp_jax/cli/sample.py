"""Fill the masked region of a video with what a prompt describes.

    vp-jax sample                             a clip of the packaged nano model's world, see nano_out/nano_report.html
    vp-jax sample --checkpoint DIR --video in.mp4 --mask mask.mp4 --prompt "a red fox runs" --out out.mp4

Writes ``out.mp4`` (the source's size, rate, frame count and sound; outside of the mask its very pixels; ``.mkv`` or no
suffix for lossless), ``out_comparison.mp4``, ``out_contact.png`` and ``out.json`` (settings, seed, versions, times).
Everything cheap is checked before a model is loaded, and an existing result is replaced only by a finished one. After
Ctrl-C, SIGTERM or a crash the same command continues behind the last finished window, or step.
Masks: white, or label ``--mask_id``, marks what is generated; see `vp_jax.media.masks`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.eval import video_metrics
from vp_jax.files import beside, write_atomically, write_text
from vp_jax.inference.settings import MODES, SAMPLERS, Settings
from vp_jax.jobs import packaged, report
from vp_jax.jobs.outputs import check_outputs, outputs, unfinished
from vp_jax.jobs.progress import Progress
from vp_jax.media import masks, pictures, video
from vp_jax.media.canvas import Finished, resize_frames, resize_holes
from vp_jax.media.video_writer import check_output, write_video
from vp_jax.provenance import versions

PIXEL_MULTIPLE = 16  # 8 pixels per latent cell, 2 cells per token


PUBLISHED: dict[str, Any] = {"precision": "bfloat16", "steps": 50, "guidance": 6.0, "static_guidance": False}
"""Settings that suit the published models; those of the packaged one are `packaged.DEFAULTS`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    flag = parser.add_argument_group("input").add_argument
    flag("--checkpoint", type=Path, help="folder of converted weights; default: the packaged nano model")
    flag("--video", type=Path, help="video file or folder of frames; with neither this nor --mask, a drawn clip")
    flag("--mask", type=Path, help="video, folder, one image for all frames, or .npz of labels")
    flag("--mask_id", type=int, help="label that is the hole, for .npz and label images")
    flag("--mask_dilate", type=int, default=0, help="grow the hole by this many source pixels on each side")
    flag("--invert_mask", action="store_true", help="white marks what is kept")
    flag("--mask_resize", action="store_true", help="allow a mask of another size (nearest)")
    flag("--prompt", help="what the finished video shows")
    flag("--negative_prompt", default="", help="what it should not show")
    flag("--prompt_embeds", type=Path, help=".npz with prompt_embeds and negative_prompt_embeds (1, M, D)")
    flag("--first_frame", help="image to start from, or 'original' to keep frame 0; default: frame 0 is generated too")
    flag("--start", type=int, default=0, help="first source frame")
    flag("--stop", type=int, help="source frame to stop before")
    flag("--fps", type=float, help="thin the source to about this rate, every floor(fps / FPS)-th frame")
    flag = parser.add_argument_group("output").add_argument
    flag("--out", type=Path, help=".mp4 .mov .webm .mkv (lossless) .gif, or a folder for PNG frames")
    flag("--report", type=Path, help="also write this page (.html) to look at in a browser; nano always does")
    flag("--composite", action="store_true", default=True, help="paste into the source (default)")
    flag("--no_composite", action="store_false", dest="composite", help="keep the model's background too")
    flag("--feather", type=int, default=0, help="pixels inside the hole's rim over which source and result blend")
    flag = parser.add_argument_group("look").add_argument
    flag("--steps", type=int, help="default: 50, nano 20")
    flag("--guidance", type=float, help="default: 6, nano 3")
    flag("--static_guidance", action="store_true", default=None, help="the same guidance at every step; nano always")
    flag("--sampler", choices=SAMPLERS, default="dpm", help="default: dpm")
    flag("--seed", type=int, default=42, help="default: 42")
    flag("--window", type=int, help="frames generated together; default: the model's")
    flag("--overlap", type=int, help="frames that neighbours share; default: a sixth of the window (reference mode: 0)")
    flag("--mode", choices=MODES, default="default", help="reference repeats the published behaviour, flaws included")
    flag("--clip_weight", type=float, default=0.0, help="0 to 1, how much the ID adapter looks at the previous window")
    flag("--id_adapter", choices=("auto", "off"), default="auto", help="auto: used if the checkpoint has one")
    flag("--id_scale", type=float, default=1.0, help="strength of the ID adapter; default: 1")
    flag("--lora", action="append", default=[], metavar="PATH[:SCALE]", help="may be repeated")
    flag("--height", type=int, help="of the generated video; default: the model's")
    flag("--width", type=int, help="of the generated video; default: the model's")
    flag = parser.add_argument_group("machine").add_argument
    flag("--precision", choices=("bfloat16", "float32"), help="default: bfloat16, nano float32")
    flag("--attention", help="attention backend; default: the fastest for the device")
    flag("--compilation_cache", metavar="DIR|off", help="keep compiled programs here; default: the user's cache")


def fill(args: argparse.Namespace) -> None:
    """Defaults that depend on the model; without ``--checkpoint`` the packaged one, with settings that suit it."""
    packed = args.checkpoint is None
    for name, value in (packaged.DEFAULTS if packed else PUBLISHED).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if packed:
        args.report = args.report or beside(check_output(args.out), "_report.html")


def settings_of(args: argparse.Namespace, native_frames: int | None = None) -> Settings:
    """Checked settings; without ``native_frames`` (no model yet) a window that was not given stays the default."""
    window = native_frames if args.window is None else args.window
    chosen: dict[str, Any] = {} if window is None else {"window": window, "overlap": args.overlap}
    return Settings(
        steps=args.steps, guidance=args.guidance, dynamic_guidance=not args.static_guidance, sampler=args.sampler,
        mode=args.mode, clip_weight=args.clip_weight, seed=args.seed, **chosen,
    )  # fmt: skip


def check(args: argparse.Namespace) -> list[tuple[Path, float]]:
    """Everything that needs neither pixels nor a model; returns the LoRA files with their scales."""
    settings_of(args)
    missing = [f"--{name}" for name in ("video", "mask", "out") if getattr(args, name) is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} not given: expected --video, --mask and --out, or no argument at all")
    if not args.checkpoint.is_dir():
        raise UserError(f"--checkpoint {args.checkpoint}: no such folder, expected one written by convert")
    if (args.prompt is None) == (args.prompt_embeds is None):
        raise UserError("expected one of --prompt and --prompt_embeds")
    if args.prompt_embeds is not None and args.negative_prompt:
        raise UserError("--negative_prompt with --prompt_embeds: the file holds the negative embedding, leave it off")
    for name, size in (("height", args.height), ("width", args.width)):
        if size is not None and (size < PIXEL_MULTIPLE or size % PIXEL_MULTIPLE):
            raise UserError(f"--{name} {size}: expected a multiple of {PIXEL_MULTIPLE}")
    if args.feather < 0 or (args.feather and not args.composite):
        raise UserError(f"--feather {args.feather}: expected 0 or more pixels, and no --no_composite")
    if not np.isfinite(args.id_scale):
        raise UserError(f"--id_scale {args.id_scale}: expected a number")
    if args.overlap is not None and args.overlap < 0:
        raise UserError(f"--overlap {args.overlap}: expected 0 or more frames")
    check_output(args.out)
    if args.report is not None and args.report.suffix != ".html":
        raise UserError(f"--report {args.report}: expected a name that ends in .html")
    first_frame = None if args.first_frame in (None, "original") else Path(args.first_frame)
    sources = (args.video, args.mask, first_frame, args.prompt_embeds)
    check_outputs(files_of(args), [source for source in sources if source is not None])
    loras = []
    for text in args.lora:
        path, _, scale = text.rpartition(":")
        try:
            lora = (Path(path), float(scale)) if path else (Path(text), 1.0)
        except ValueError:
            lora = (Path(text), 1.0)
        if not lora[0].exists():
            raise UserError(f"--lora {text}: no such file, expected PATH or PATH:SCALE")
        loras.append(lora)
    return loras


def files_of(args: argparse.Namespace) -> list[Path]:
    """What the run will write."""
    return [*outputs(args.out), *([args.report] if args.report else [])]


def read_embeds(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """``prompt_embeds`` and ``negative_prompt_embeds`` of an .npz, each (M, D) float32."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            pair = [np.asarray(archive[n], np.float32) for n in ("prompt_embeds", "negative_prompt_embeds")]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: expected an .npz of prompt_embeds and negative_prompt_embeds ({error})") from error
    shapes = [array.shape for array in pair]
    if shapes[0] != shapes[1] or len(shapes[0]) != 3 or shapes[0][0] != 1:
        raise UserError(f"{path}: embeddings of shapes {shapes[0]} and {shapes[1]}, expected (1, M, D) twice")
    return pair[0][0], pair[1][0]


def read_media(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, Fraction, video.VideoInfo]:
    """Frames, holes and rate of the chosen range, and what is known of the whole source."""
    info = video.probe(args.video)
    step = video.subsample_step(info.fps, args.fps)
    frames_FHWC, fps = video.read_video(args.video, start=args.start, stop=args.stop, fps=args.fps)
    holes_FHW = masks.align(
        masks.read_masks(args.mask, mask_id=args.mask_id, start=args.start, stop=args.stop, step=step),
        frames=len(frames_FHWC), height=info.height, width=info.width, static=masks.is_static(args.mask),
        resize=args.mask_resize, invert=args.invert_mask, grow=args.mask_dilate,
    )  # fmt: skip
    if args.first_frame == "original":
        holes_FHW[0] = False
        if not holes_FHW.any():
            raise UserError("--first_frame original: only frame 0 has a hole, there is nothing to generate")
    share = 100 * holes_FHW.mean()
    print(f"video    {args.video}: {len(frames_FHWC)} frames, {info.width}x{info.height}, {float(fps):.4g} per second")
    if args.fps is None and fps >= 2 * video.FOLDER_FPS:
        print("         the models learned motion at 8 frames per second; --fps 8 thins the source to about that")
    print(f"mask     {args.mask}: hole {share:.2g} % of all pixels, in {holes_FHW.any((1, 2)).sum()} frames")
    return frames_FHWC, holes_FHW, fps, info


def model_size(args: argparse.Namespace, pipeline: Any, source: tuple[int, int]) -> tuple[int, int]:
    """Height and width to generate at; says what is stretched."""
    native = pipeline.native_size
    size = (args.height or native[0], args.width or native[1])
    if pipeline.fixed_size and size != tuple(native):
        raise UserError(f"--height {size[0]} --width {size[1]}: this model runs at {native[0]} x {native[1]} only")
    way = "as it is" if size == source else f"{source[1]}x{source[0]} stretched to {size[1]}x{size[0]} and back"
    change = size[1] / size[0] / (source[1] / source[0]) - 1
    print(f"size     {way}" + (f", aspect changed by {change:+.0%} meanwhile" if abs(change) > 0.01 else ""))
    return size


def demonstrate(args: argparse.Namespace) -> None:
    """Fill in the packaged clip, where nothing else was said."""
    size = packaged.CLIP_SIZE
    check_output(args.out)
    for name, value in packaged.write_clip(args.out, *size).items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def measure(truth_FHWC: np.ndarray, holes_FHW: np.ndarray, result_FHWC: np.ndarray) -> dict[str, float]:
    """How near the hole is to what was there, for a prompt that describes it; beside it the hole in one colour."""
    flat_FHWC = truth_FHWC.copy()
    flat_FHWC[holes_FHW] = np.rint(truth_FHWC[~holes_FHW].mean(axis=0))
    return {
        "psnr": video_metrics.psnr(truth_FHWC, result_FHWC, holes_FHW),
        "ssim": video_metrics.ssim(truth_FHWC, result_FHWC, holes_FHW),
        "mean_colour_psnr": video_metrics.psnr(truth_FHWC, flat_FHWC, holes_FHW),
    }


def write_report(args: argparse.Namespace, values: dict[str, Any]) -> None:
    """The page of a run; ``values`` are those of its record."""
    nano, hole = args.checkpoint == packaged.FOLDER, values["hole"]
    numbers = [(f"{sum(values['seconds'].values()):.0f} s", "from start to files, compilation included")]
    if hole:
        numbers = [
            (f"{hole['psnr']:.1f} dB", "PSNR in the hole against what was there"),
            (f"{hole['ssim']:.2f}", "SSIM in the hole"),
            (f"{hole['mean_colour_psnr']:.1f} dB", "PSNR of the hole filled with the mean colour"),
            *numbers,
        ]
    _, comparison, contact, _ = outputs(args.out)
    text = report.page(
        title=f"VideoPainter {'nano' if nano else 'run'}: {args.out.name}",
        lead=packaged.NOTE if nano else f"Checkpoint {args.checkpoint}.", prompt=args.prompt or "",
        comparison=comparison, contact=contact, numbers=numbers,
        lists={"What nano is": packaged.IS, "What it is not": packaged.IS_NOT} if nano else {},
        tables={"Settings": values["settings"], "Seconds": values["seconds"], "Versions": values["versions"]},
        commands=packaged.COMMANDS if nano else (),
    )  # fmt: skip
    write_text(args.report, text)


@contextlib.contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Too little device memory as a `UserError` with what needs less of it."""
    try:
        yield
    except RuntimeError as error:  # jax's own error type, told apart by its status
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"out of device memory: try {advice}") from error


def run(args: argparse.Namespace) -> int:
    """Check, read, load, generate, write."""
    fill(args)
    times: dict[str, float] = {}
    clock = time.perf_counter()
    shown = args.checkpoint == packaged.FOLDER and args.video is None and args.mask is None
    if args.checkpoint == packaged.FOLDER:
        packaged.check()
        print(packaged.NOTE)
    if shown:
        demonstrate(args)

    def lap(name: str) -> None:
        nonlocal clock
        times[name], clock = round(time.perf_counter() - clock, 3), time.perf_counter()

    loras = check(args)
    text = None if args.prompt_embeds is None else read_embeds(args.prompt_embeds)
    picture = None if args.first_frame in (None, "original") else video.read_image(args.first_frame)
    frames_FHWC, holes_FHW, fps, source = read_media(args)
    lap("read")

    from vp_jax.inference.pipeline import Pipeline
    from vp_jax.jobs import compile_cache

    cache = compile_cache.keep(args.compilation_cache)
    with enough_memory("--precision bfloat16, or a device with more"):
        pipeline = Pipeline.load(
            args.checkpoint, precision=args.precision, attention=args.attention,
            id_adapter=args.id_adapter == "auto", id_scale=args.id_scale, loras=loras,
        )  # fmt: skip
    if text is None and not pipeline.has_text_encoder:
        raise UserError(f"--checkpoint {args.checkpoint} has no text encoder: give --prompt_embeds instead of --prompt")
    settings = settings_of(args, pipeline.native_frames)
    size = model_size(args, pipeline, frames_FHWC.shape[1:3])
    plan = pipeline.plan(len(frames_FHWC), settings)
    windows = f"{len(plan.windows)} of {settings.window} frames"
    print(f"windows  {windows}, {settings.overlap} shared with the next, {settings.steps} steps each")
    if plan.padded_frames > len(frames_FHWC):
        print(f"         {len(frames_FHWC)} frames padded to {plan.padded_frames}, the padding is cut off again")
    if plan.output_frames < len(frames_FHWC):
        print(f"         reference mode drops the tail: {plan.output_frames} of {len(frames_FHWC)} frames come out")
    print("writes   " + ", ".join(map(str, files_of(args))))
    lap("load")

    small_FHWC, small_FHW = resize_frames(frames_FHWC, *size), resize_holes(holes_FHW, *size)
    first_HWC = small_FHWC[0] if args.first_frame == "original" else None
    if picture is not None:
        first_HWC = resize_frames(picture[None], *size)[0]
    with enough_memory("--precision bfloat16, or --prompt_embeds in place of --prompt"):
        text = text or pipeline.encode_prompt(args.prompt, args.negative_prompt)
    lap("encode_prompt")
    keep = unfinished(args.out)
    size_flags = "" if pipeline.fixed_size else ", --height and --width"
    try:
        with enough_memory(f"a smaller --window{size_flags}, or bfloat16"), Progress() as progress:
            progress(0, len(plan.windows) * settings.steps, "compiling")
            result_FHWC = pipeline.inpaint(small_FHWC, small_FHW, text, settings, first_HWC, progress, keep)
    except KeyboardInterrupt:
        if keep.is_dir():
            print(f"stopped: {keep} holds what is finished, the same command continues there", file=sys.stderr)
        raise
    lap("inpaint")

    frames_FHWC, holes_FHW = frames_FHWC[: len(result_FHWC)], holes_FHW[: len(result_FHWC)]
    finished = Finished(frames_FHWC, holes_FHW, result_FHWC, paste=args.composite, feather=args.feather)
    out, comparison, contact, record = outputs(args.out)
    audio = write_video(out, finished, fps, audio_from=args.video, audio_start=float(args.start / source.fps))
    if source.has_audio and not audio:
        print(f"sound    is missing: {out.suffix or 'a folder'} does not hold this kind of it, .mkv would")
    write_video(comparison, pictures.comparison_frames(frames_FHWC, holes_FHW, finished), fps)
    write_atomically(contact, pictures.contact_sheet(frames_FHWC, holes_FHW, finished, title=args.prompt or "").save)
    lap("write")
    values = {
        "settings": dataclasses.asdict(settings), "arguments": vars(args), "seconds": times, "versions": versions(),
        "frames": len(frames_FHWC), "fps": str(fps), "source_size": frames_FHWC.shape[1:3], "model_size": size,
        "windows": list(plan.windows), "padded_frames": plan.padded_frames, "audio_copied": audio,
        "compilation_cache": cache, "hole": measure(frames_FHWC, holes_FHW, np.stack(finished)) if shown else None,
    }  # fmt: skip
    write_text(record, json.dumps(values, indent=2, default=str) + "\n")
    if args.report is not None:
        write_report(args, values)
    shutil.rmtree(keep, ignore_errors=True)
    print(f"done     {args.report or out} in {sum(times.values()):.0f} s")
    return 0
