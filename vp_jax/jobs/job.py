"""What one sampling run is asked to do, as data. The command line, a notebook or a server fills it in."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.errors import UserError
from vp_jax.files import check_local
from vp_jax.inference.inputs import check_fit
from vp_jax.inference.named import NAMED, find_model
from vp_jax.inference.request import ORIGINAL, check_feather, check_holes, check_pasted_fit, check_size
from vp_jax.inference.settings import Settings
from vp_jax.inference.task import BACKGROUND, FILL, REMOVE, negative_of
from vp_jax.jobs.claim import check_ours
from vp_jax.jobs.outputs import check_outputs, job_folder, outputs
from vp_jax.media.cuts import AUTO, parsed_cuts
from vp_jax.media.encoders import check_quality
from vp_jax.media.video_writer import check_output
from vp_jax.schema import check_number


class Redo(NamedTuple):
    """One window to be made anew.

    Attributes:
      window: its number from 1, as the progress line has it.
      seed, prompt: its new ones; ``None``: as before.
    """

    window: int
    seed: int | None = None
    prompt: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A video to inpaint. Everything that needs neither pixels nor a model is checked when it is made.

    Attributes:
      video: file, or folder of frames.
      mask: video, folder, one image for all frames, or .npz of labels; see `vp_jax.media.masks`. ``None`` where the
        picture is only extended.
      out: file or folder of the result; the other files are named after it, see `vp_jax.jobs.outputs`.
      report: also write this page (.html).
      preview: write this picture (.png) of video and mask, and generate nothing.
      task: "fill" the hole, or "remove" what was there, see `vp_jax.inference.task`.
      affected: a second mask, of what may change because something is removed; only for VOID, see
        `vp_jax.inference.conditioned`. Its labels, inversion, size and length are those of ``mask``.
      prompt, negative_prompt: what the finished video shows, and what it should not; a removal has its own for both.
      prompts: .json of prompts by window or by time, see `vp_jax.inference.prompts`; ``prompt`` fills the gaps.
      prompt_embeds: .npz in place of both prompts, see `vp_jax.inference.prompt.Prompt.read`.
      mask_id: label that is the hole.
      mask_dilate: source pixels by which the hole grows on each side; default: 0, but in proportion for a removal.
      invert_mask: white marks what is kept.
      mask_resize: allow a mask of another size.
      mask_fit: allow a mask of another length: "hold" its last frame, or "cut" the video.
      first_frame: image to start from, or ``"original"`` to keep frame 0; otherwise frame 0 is generated too.
      cuts: "auto" looks for scene cuts (reference mode knows none), "off" does not, "48,120" are frames that begin a
        shot, see `vp_jax.media.cuts`. No window reaches across a cut.
      start, stop, fps, folder_fps: which frames of the source, see `vp_jax.inference.inputs.Video.read`.
      checkpoint: converted folder, or the name of a model that comes with the package.
      verify: compare everything in the checkpoint with its digests before the run, also what the run does not read;
        what it reads is always compared.
      settings: those of `Settings` that are not the model's defaults.
      height, width: of the generated video; default: the model's.
      id_adapter, id_scale, loras: see `Pipeline.load`.
      fit: how the video reaches the model, see `vp_jax.media.fit`.
      extend: pixels to add and generate on each side, or the aspect that is filled, see `vp_jax.media.extend`.
      composite, feather: paste into the source, see `vp_jax.media.canvas`.
      comparison: also write a video of source, hole and result side by side; while the job runs it grows in its folder.
      quality: of a lossy result, 0 (best) to 51, see `vp_jax.media.encoders`.
      precision, weights, attention, mesh: see `Pipeline.load`.
      memory: of the device, such as 24GB; a job that needs more is changed, see `vp_jax.jobs.dry_run.within_memory`.
      compilation_cache: see `vp_jax.jobs.compile_cache.keep`.
      keep_job: keep the windows beside a finished result, for a redo: ``True`` with the states of a clip weight,
        ``False`` not at all; default: their latents, if there are several.
      fresh: drop what another, unfinished job left for this ``out``.
      redo: make this window of a kept job anew; the rest has to be what it was, see `vp_jax.jobs.redo`.
      demonstration: ``video`` and ``mask`` are the packaged clip, which the run writes first; the hole is compared with
        what was there.
      edit: the plan of `vp_jax.edit` that made the job, JSON values for its record.

    Raises:
      UserError: in one line, the first thing that cannot work.
    """

    video: Path
    mask: Path | None = None
    out: Path
    report: Path | None = None
    preview: Path | None = None
    task: str = FILL
    affected: Path | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    prompts: Path | None = None
    prompt_embeds: Path | None = None
    mask_id: int | None = None
    mask_dilate: int | None = None
    invert_mask: bool = False
    mask_resize: bool = False
    first_frame: str | None = None
    cuts: str = AUTO
    start: int = 0
    stop: int | None = None
    fps: float | None = None
    folder_fps: float | None = None
    mask_fit: str | None = None
    checkpoint: str | Path = "nano"
    verify: bool = False
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    height: int | None = None
    width: int | None = None
    id_adapter: bool = True
    id_scale: float = 1.0
    loras: tuple[tuple[Path, float], ...] = ()
    fit: str = "stretch"
    extend: str | None = None
    composite: bool = True
    feather: int = 0
    comparison: bool = True
    quality: int | None = None
    precision: str | None = None
    weights: str | None = None
    attention: str | None = None
    mesh: str | None = None
    memory: str | None = None
    compilation_cache: str | None = None
    keep_job: bool | None = None
    fresh: bool = False
    redo: Redo | None = None
    demonstration: bool = False
    edit: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self._check_settings()
        self._check_model()
        if self.memory is not None:
            memory_of(self.memory)
        self._check_holes()
        self._check_prompt()
        check_size(self.height, self.width)
        check_feather(self.feather, self.composite)
        check_pasted_fit(self.fit, self.composite)
        self._check_numbers()
        self._check_files()

    @property
    def named(self) -> bool:
        """The model comes with the package."""
        return self.checkpoint in NAMED

    @property
    def model_options(self) -> dict[str, Any]:
        """How the model is loaded: the arguments of `Pipeline.load` beside the checkpoint."""
        names = ("precision", "weights", "attention", "mesh", "id_adapter", "id_scale", "loras")
        return {name: getattr(self, name) for name in names}

    @property
    def files(self) -> list[Path]:
        """What the run will write."""
        made = [path for path in outputs(self.out) if self.comparison or path != outputs(self.out).comparison]
        return [*made, *([self.report] if self.report else [])]

    @property
    def picture(self) -> Path | None:
        """The image to start from."""
        return None if self.first_frame in (None, ORIGINAL) else Path(str(self.first_frame))

    def written_to(self, files: Sequence[Path]) -> Job:
        """The same job with ``files`` in place of its own `files`."""
        return dataclasses.replace(self, out=files[0], report=files[-1] if self.report else None)

    def _check_settings(self) -> None:
        """An overlap can be judged only beside its window, which may be the model's."""
        overlap = self.settings.get("overlap")
        if overlap is not None and overlap < 0:
            raise UserError(f"overlap {overlap}: expected 0 or more frames")
        unknown_window = "window" not in self.settings
        Settings().changed(**{k: v for k, v in self.settings.items() if not (k == "overlap" and unknown_window)})

    def _check_numbers(self) -> None:
        for name in ("mask_dilate", "id_scale", "start", "stop", "fps", "folder_fps", "mask_id"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name))

        check_fit(self.mask_fit)
        parsed_cuts(self.cuts)

    def _check_holes(self) -> None:
        check_holes(self.task, self.extend, self.first_frame, masked=self.mask is not None)
        if self.affected is not None and self.task != REMOVE:
            raise UserError(f"affected {self.affected}: expected `task` {REMOVE}, only a removal affects other things")
        for name in ("mask_id", "mask_dilate", "invert_mask", "mask_resize", "mask_fit") if self.mask is None else ():
            if getattr(self, name) not in (None, False):
                raise UserError(f"{name} {getattr(self, name)}: there is no `mask`, leave it off")

    def _check_model(self) -> None:
        if self.named:
            find_model(self.checkpoint)
        elif not os.path.isdir(self.checkpoint):
            raise UserError(f"checkpoint {self.checkpoint}: no such folder, expected one written by convert")
        for path, scale in self.loras:
            check_number("lora_scale", scale)
            if not os.path.exists(path):
                raise UserError(f"lora {path}: no such file or folder")

    def _check_prompt(self) -> None:
        if self.redo is not None:
            if self.redo.seed is None and self.redo.prompt is None:
                raise UserError(f"redo_window {self.redo.window}: give it another `seed` or `prompt`")
            Settings().changed(**({} if self.redo.seed is None else {"seed": self.redo.seed}))
        for name in ("prompt", "negative_prompt"):
            try:
                (getattr(self, name) or "").encode()
            except UnicodeEncodeError as error:
                raise UserError(f"{name} {getattr(self, name)}: expected text in UTF-8") from error
        if self.task == REMOVE and self.prompt is None and self.prompts is None and self.prompt_embeds is None:
            object.__setattr__(self, "prompt", BACKGROUND)
        if (self.prompt is None and self.prompts is None) == (self.prompt_embeds is None):
            raise UserError("expected one of `prompt` and `prompt_embeds`")
        if self.prompt_embeds is not None and self.negative_prompt:
            raise UserError(
                "`negative_prompt` with `prompt_embeds`: the file holds the negative embedding, leave it off"
            )
        if self.prompt_embeds is None:
            object.__setattr__(self, "negative_prompt", negative_of(self.task, self.negative_prompt))

    def _check_files(self) -> None:
        check_output(self.out)
        check_quality(self.quality, self.out)
        if self.report is not None and self.report.suffix != ".html":
            raise UserError(f"report {self.report}: expected a name that ends in .html")
        if self.preview is not None and self.preview.suffix != ".png":
            raise UserError(f"preview {self.preview}: expected a name that ends in .png")
        sources = (self.video, self.mask, self.affected, self.picture, self.prompts, self.prompt_embeds)
        written = [*self.files, *([self.preview] if self.preview else [])]
        check_outputs(written, [source for source in sources if source is not None])
        check_ours(job_folder(self.out))
        if self.compilation_cache is not None:
            check_local(Path(self.compilation_cache))


def memory_of(text: str) -> int:
    """Bytes of ``24GB`` or ``16.5 GB``.

    Raises:
      UserError: another form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?GB", text.strip(), re.IGNORECASE)
    if not found or float(found[1]) == 0:
        raise UserError(f"memory {text}: expected gigabytes of the device, such as 24GB")
    return round(float(found[1]) * 1e9)
