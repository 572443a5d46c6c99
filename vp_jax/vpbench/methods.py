"""Methods: what makes a result of a clip, or where results that somebody made lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from vp_jax.digests import FILE as DIGESTS
from vp_jax.digests import of_file
from vp_jax.errors import UserError
from vp_jax.files import beside, write_atomically
from vp_jax.inference.inputs import Video
from vp_jax.inference.named import find_model
from vp_jax.jobs.job import Job
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.run import run
from vp_jax.media.frames import Frames, again
from vp_jax.media.images import image_files
from vp_jax.media.masks import white_on_black
from vp_jax.media.video_writer import write_video
from vp_jax.models.config import Injection
from vp_jax.reading import read_json, show
from vp_jax.vpbench.baselines import BASELINES, first_given
from vp_jax.vpbench.clips import REMOVE_TASK, BenchClip, BenchInputs, as_array, resized
from vp_jax.vpbench.rows import check_method_name
from vp_jax.vpbench.scoring import Windows

BACKBONE, MODEL = "backbone", "model"
METHOD_WORDS = (*BASELINES, BACKBONE, MODEL)
RESULT_SUFFIXES = (".mkv", ".mp4", ".mov", ".webm", ".avi", ".gif", "")
"""Where a result of a clip is looked for, in this order; "" is a folder of images."""
RATE_TOLERANCE = 0.01


class Method(Protocol):
    """A column of side-by-side videos, and a row of tables."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def seeded(self) -> bool:
        """Results depend on a seed."""

    def facts(self, clip: BenchClip, seed: int) -> Any:
        """What a result depends on besides the clip, as JSON values. `UserError` if there can be none."""

    def result(self, clip: BenchClip, inputs: BenchInputs, seed: int, out: Path, *, fresh: bool = True) -> Path:
        """Make the result, at ``out`` if nowhere else, and return its place.

        Args:
          clip: what is described.
          inputs: the clip, open.
          seed: of the noise.
          out: where the result goes.
          fresh: what an interrupted run left was of other settings; otherwise the method may go on behind it.

        Raises:
          UserError: it cannot be made.
        """

    def place(self, clip: BenchClip, seed: int, out: Path) -> Path:
        """Where the result is, or will be."""


@dataclass(frozen=True)
class BaselineMethod:
    """A filling without a model, see `vp_jax.vpbench.baselines`; ``truth_first`` as of `SamplerMethod`."""

    name: str
    truth_first: bool = False
    seeded: bool = field(default=False, init=False)

    def facts(self, clip: BenchClip, seed: int) -> Any:
        """See `Method`."""
        return ["baseline", self.name, self.truth_first]

    def result(self, clip: BenchClip, inputs: BenchInputs, seed: int, out: Path, *, fresh: bool = True) -> Path:
        """See `Method`."""
        frames_FHWC, holes_FHW = as_array(again(inputs.frames_FHWC)), as_array(again(inputs.holes_FHW))
        if self.truth_first and inputs.truth_FHWC is not None:
            frames_FHWC, holes_FHW = first_given(frames_FHWC, holes_FHW, again(inputs.truth_FHWC)[0])
        write_video(out, BASELINES[self.name](frames_FHWC, holes_FHW), inputs.fps)
        return out

    def place(self, clip: BenchClip, seed: int, out: Path) -> Path:
        """See `Method`."""
        return out


@dataclass(frozen=True)
class SamplerMethod:
    """The sampler of this package, run as a job.

    Attributes:
      name: its name.
      inputs: folder for the files that the job reads.
      checkpoint: converted folder, or the name of a packaged model.
      settings: fields of `vp_jax.inference.settings.Settings` that differ from the model's defaults.
      options: further fields of `vp_jax.jobs.job.Job`.
      loader: keeps the model.
      truth_first: give frame 0 of the truth, where it is known, as the paper gives a finished first frame.
      backbone_alone: without the context encoder's hints: the backbone with latents replaced outside the hole.
    """

    name: str
    inputs: Path
    checkpoint: str | Path = "nano"
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    loader: ModelCache = field(default_factory=ModelCache, repr=False)
    backbone_alone: bool = False
    truth_first: bool = False
    seeded: bool = field(default=True, init=False)

    def facts(self, clip: BenchClip, seed: int) -> Any:
        """See `Method`. Weights count by their digests, where the checkpoint has them."""
        folder = find_model(self.checkpoint).folder
        stored = sorted(folder.rglob(DIGESTS))
        weights = [[path.parent.name, of_file(path)] for path in stored] or str(self.checkpoint)
        options = {name: str(value) for name, value in self.options.items()}
        return ["sampler", weights, dict(self.settings), options, self.backbone_alone, self.truth_first, seed]

    def result(self, clip: BenchClip, inputs: BenchInputs, seed: int, out: Path, *, fresh: bool = True) -> Path:
        """See `Method`."""
        source, mask = (self.inputs / f"{clip.file}_{part}.mkv" for part in ("source", "mask"))
        write_video(source, again(inputs.frames_FHWC), inputs.fps)
        masks = map(white_on_black, again(inputs.holes_FHW))
        write_video(mask, masks, inputs.fps)
        settings, options = {**self.settings, "seed": seed}, dict(self.options)
        if self.truth_first and inputs.truth_FHWC is not None:
            options["first_frame"] = str(self.inputs / f"{clip.file}_first.png")
            write_atomically(Path(options["first_frame"]), Image.fromarray(again(inputs.truth_FHWC)[0]).save)
        if self.backbone_alone:
            settings["injection"] = Injection(scale=0.0)
        job = Job(
            video=source, mask=mask, out=out, prompt=clip.prompt, checkpoint=self.checkpoint, settings=settings,
            task="remove" if clip.task == REMOVE_TASK else "fill", mask_dilate=0, keep_job=False, fresh=fresh,
            **options,
        )  # fmt: skip
        with closing(run(job, self.loader)) as events:
            for _ in events:
                pass
        return out

    def place(self, clip: BenchClip, seed: int, out: Path) -> Path:
        """See `Method`."""
        return out


@dataclass(frozen=True)
class FolderMethod:
    """Results that any program has written.

    Attributes:
      name: of the method.
      folder: holds ``<clip>.mp4`` (or another video), or a folder ``<clip>/`` of frames, for each clip.
      given: results by the name of their clip, where a table lists them; the folder is not searched then.
    """

    name: str
    folder: Path
    given: Mapping[str, Path] = field(default_factory=dict, repr=False)
    seeded: bool = field(default=False, init=False)

    def facts(self, clip: BenchClip, seed: int) -> Any:
        """See `Method`: the content of the result's files."""
        path = self.place(clip, seed, Path())
        files = image_files(path) if path.is_dir() else [path]
        digest = hashlib.sha256("".join(of_file(file) for file in files).encode())
        return ["folder", digest.hexdigest()]

    def result(self, clip: BenchClip, inputs: BenchInputs, seed: int, out: Path, *, fresh: bool = True) -> Path:
        """See `Method`."""
        return self.place(clip, seed, out)

    def place(self, clip: BenchClip, seed: int, out: Path) -> Path:
        """See `Method`. `UserError` if there is none."""
        if self.given:
            if clip.name not in self.given:
                raise UserError(f"the table lists no result of {show(clip.name)}")
            return self.given[clip.name]
        for name in dict.fromkeys((clip.name, clip.file)):
            for suffix in RESULT_SUFFIXES:
                path = self.folder / f"{name}{suffix}"
                frames = path / "comp_frames"  # the released program's place for them
                if not suffix and path.is_dir():
                    return frames if frames.is_dir() else path
                if suffix and path.is_file():
                    return path
        raise UserError(f"{show(self.folder)} has no result of {show(clip.name)}: expected {clip.file}.mp4 or a folder")


def open_result(path: Path, inputs: BenchInputs, *, cut: bool = False) -> Frames:
    """The frames of a result at the size at which its clip is scored.

    Args:
      path: video, or folder of frames.
      inputs: its clip.
      cut: accept fewer frames than the clip has; those are scored.

    Raises:
      UserError: another size than the clip has or its files have, another number of frames, another rate.
    """
    video = Video.open(path)
    size, count = tuple(inputs.frames_FHWC.shape[1:3]), len(inputs.frames_FHWC)
    if video.size not in (size, inputs.native):
        expected = " or ".join(dict.fromkeys(f"{width}x{height}" for height, width in (size, inputs.native)))
        raise UserError(f"{show(path)} is {video.size[1]}x{video.size[0]}, expected {expected}")
    if len(video) != count and not (cut and len(video) < count):
        hint = "; `cut` scores the frames that there are" if len(video) < count else ""
        raise UserError(f"{show(path)} has {len(video)} frames, the clip {count}{hint}")
    if path.is_file() and abs(float(video.fps / inputs.fps) - 1) > RATE_TOLERANCE:
        raise UserError(
            f"{show(path)} has {float(video.fps):.4g} frames per second, the clip {float(inputs.fps):.4g}: "
            "give the frames as a folder of images if only the rate is wrong"
        )
    return resized(video.frames_FHWC, (size[0], size[1]))


def windows_of(path: Path) -> Windows | None:
    """The windows of a result that a job of this package wrote, from its record; None for others."""
    record = beside(path, ".json")
    if path.is_dir() or not record.is_file():
        return None
    try:
        found = read_json(record)
        return Windows(tuple(int(start) for start in found["windows"]), int(found["settings"]["overlap"]))
    except (UserError, KeyError, TypeError, ValueError):
        return None


def methods_of(
    words: str,
    folder: Path,
    checkpoint: str | Path = "nano",
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    truth_first: bool = False,
) -> list[Method]:
    """Methods that run here.

    Args:
      words: among `METHOD_WORDS`, with commas between; "all": all of them.
      folder: of the run.
      checkpoint: of "model" and "backbone"; "model" gets the checkpoint's name.
      settings: see `SamplerMethod`.
      options: the same.
      truth_first: the same.

    Raises:
      UserError: an unknown word.
    """
    chosen = METHOD_WORDS if words == "all" else tuple(filter(None, words.split(",")))
    loader, out = ModelCache(), list[Method]()
    for word in chosen:
        if word in BASELINES:
            out.append(BaselineMethod(word, truth_first))
            continue
        if word not in METHOD_WORDS:
            raise UserError(f"methods {show(word)}: expected among {', '.join(METHOD_WORDS)}, or all")
        name = word if word == BACKBONE else check_method_name(Path(checkpoint).name)
        out.append(
            SamplerMethod(
                name,
                folder / "inputs",
                checkpoint,
                settings or {},
                options or {},
                loader,
                word == BACKBONE,
                truth_first,
            )
        )
    return out
