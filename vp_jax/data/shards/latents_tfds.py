"""Writing latent shards: a Beam pipeline that runs VAE and T5 once, so that training does not have to.

It takes any `records.Source` (official layout, ``vpdata`` shards, folders) and a factory of encoders, which every Beam
worker calls once. For each clip it writes ``windows`` records with the posterior of the clean window, of the window
under ``masks`` random masks, and of the first frame at ``images`` noise levels, and the text embedding. With
``loader.first_frame_dropout`` the first frame has a hole under some masks; it is then encoded ``images`` times for each
mask, with that mask's hole. For 49 frames
of 480 x 720, a mean or standard deviation takes 2.2 MB in float16, a text embedding 1.9 MB: about 7 + 4.5 k MB for k
masks.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from vp_jax.data.clips import (
    ChooseWindow,
    ImageNoise,
    Read,
    Resize,
    ShowFirstFrame,
    to_model_range,
)
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.records import Clip, Source
from vp_jax.data.shards.latent_records import EMPTY_TEXT, IMAGE_OF, MADE_WITH, pack_arrays, part_name
from vp_jax.data.shards.vpdata_tfds import encoded, first_fault, prepare
from vp_jax.data.sources.tfds_source import builder_folders
from vp_jax.errors import UserError, check_numbers
from vp_jax.models.latent_grid import cover_cells, masks_to_latent_grid
from vp_jax.reading import read_json, show
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE


class ShardEncoders(Protocol):
    """The frozen encoders as callables on NumPy arrays."""

    def video(self, pixels_BFHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation BThwC of the VAE's posterior, not scaled, of float32 pixels in [-1, 1]."""

    def text(self, captions: list[str]) -> np.ndarray | None:
        """Embeddings (B, M, E); ``None`` to store none, so that training embeds the captions."""


@dataclass(frozen=True)
class LatentConfig:
    """Settings of latent shards.

    Attributes:
      loader: size and rate of the windows, augmentation of the masks, noise levels and seed.
      masks: random masks per window; 0 makes clean-only shards.
      images: noise levels of the first frame, at least 1.
      windows: windows per clip.

    Raises:
      UserError: a value out of range, or a size that the latent grid does not divide.
    """

    loader: LoaderConfig = field(default_factory=LoaderConfig)
    masks: int = 4
    images: int = 2
    windows: int = 1

    def __post_init__(self) -> None:
        check_numbers(self, "masks")
        check_numbers(self, "images windows", 1)
        frames, height, width = self.loader.frames, self.loader.height, self.loader.width
        if frames % TEMPORAL_STRIDE != 1 or height % SPATIAL_STRIDE or width % SPATIAL_STRIDE:
            raise UserError(
                f"{frames} frames of {height} x {width}: expected {TEMPORAL_STRIDE} n + 1 frames, rows and "
                f"columns that are multiples of {SPATIAL_STRIDE}"
            )


def encode_window(
    clip: Clip, seeds: tuple[int, ...], cfg: LatentConfig, encoders: ShardEncoders
) -> dict[str, np.ndarray]:
    """Arrays of one record.

    Args:
      clip: clip to read.
      seeds: numbers from which all random choices follow.
      cfg: settings.
      encoders: frozen models.

    Raises:
      BadRecord: the clip cannot be used.
    """
    loader, resize = cfg.loader, Resize(cfg.loader.height, cfg.loader.width, cfg.loader.resize)
    draw = functools.partial(_generator, seeds)
    example = Read()(ChooseWindow(loader.frames, loader.fps)({"clip": clip}, draw("window", 0)), draw("read", 0))
    frames_FHWC = resize.frames(example["pixels"])

    def posterior(frames_FHWC: np.ndarray, masks_BFHW: np.ndarray, noise_BFHWC: np.ndarray | float = 0.0) -> Any:
        """Encode a clip under all masks in one batch."""
        pixels_BFHWC = np.broadcast_to(frames_FHWC, (len(masks_BFHW), *frames_FHWC.shape))
        batch = to_model_range({"pixels": pixels_BFHWC, "masks": masks_BFHW})
        mean, std = encoders.video(batch["masked_BFHWC"] + noise_BFHWC)
        return np.asarray(mean, np.float32), np.asarray(std, np.float32)

    no_hole_FHW = np.zeros(frames_FHWC.shape[:3], np.uint8)
    arrays: dict[str, Any] = {"indices": example["indices"], "fps": np.float64(example["fps"])}
    masks = [no_hole_FHW]
    for number in range(cfg.masks):
        masks_FHW = resize.masks(loader.augment(example["masks"], draw("mask", number)))
        if loader.show_first_frame:
            shown = ShowFirstFrame(loader.first_frame_dropout)
            masks_FHW = shown({"masks": masks_FHW}, draw("first", number))["masks"]
        masks.append(masks_FHW)
    mean, std = posterior(frames_FHWC, np.stack(masks))
    arrays["clean_mean"], arrays["masked_mean"] = mean[0], mean[1:]
    arrays["clean_std"], arrays["masked_std"] = std[0], std[1:]
    seen = [cover_cells(masks_FHW) for masks_FHW in masks] if loader.cover_cells else masks
    arrays["mask"] = masks_to_latent_grid(np.stack(seen))[1:]

    holes_N1HW, noises = np.stack([no_hole_FHW[:1]] * cfg.images), []
    if cfg.masks and loader.first_frame_dropout:
        arrays[IMAGE_OF] = np.repeat(np.arange(cfg.masks), cfg.images)
        holes_N1HW = np.stack(masks)[1:, :1][arrays[IMAGE_OF]]
    for number in range(len(holes_N1HW)):
        rng = draw("image", number)
        sigma = ImageNoise(*loader.image_log_sigma)({}, rng)["image_sigma"]
        noises.append(sigma * rng.standard_normal((1, *frames_FHWC.shape[1:]), dtype=np.float32))
    arrays["image_mean"], arrays["image_std"] = posterior(frames_FHWC[:1], holes_N1HW, np.stack(noises))
    text = encoders.text([clip.caption])
    if text is not None:
        arrays["text"] = np.asarray(text[0], np.float32)
    return arrays


def _generator(seeds: tuple[int, ...], purpose: str, number: int) -> np.random.Generator:
    return np.random.default_rng([*seeds, ("window", "read", "mask", "image", "first").index(purpose), number])


@dataclass(frozen=True)
class EncodeClip:
    """Makes ``(key, fields)`` of each window of a record number; opens source and encoders once per worker."""

    cfg: LatentConfig
    open_source: Callable[[], Source]
    make_encoders: Callable[[], ShardEncoders]

    @functools.cached_property
    def source(self) -> Source:
        """The source, opened."""
        return self.open_source()

    @functools.cached_property
    def encoders(self) -> ShardEncoders:
        """The encoders, loaded."""
        return self.make_encoders()

    def __call__(self, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Encode the windows of record ``number``."""
        clip = self.source[number]
        for window in range(self.cfg.windows):
            arrays = encode_window(clip, (self.cfg.loader.seed, number, window), self.cfg, self.encoders)
            key = f"{clip.id}/{window}"
            fields = {"id": key, "clip_id": clip.id, "origin": clip.origin, "caption": clip.caption}
            yield key, {**fields, "arrays": pack_arrays(arrays)}


class VpdataLatents(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """TFDS builder of one split of latent shards; `build_latents` runs it."""

    name = "vpdata_latents"
    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # nothing is downloaded, so there is no file of checksums next to the code

    def __init__(self, encode: EncodeClip, split: str, part: int = 0, parts: int = 1, **kwargs: Any):
        self.encode, self.split, self.part, self.parts = encode, split, part, parts
        super().__init__(**kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled for Beam's workers as the call that made it."""
        return functools.partial(type(self), **self._original_state), (
            self.encode,
            self.split,
            self.part,
            self.parts,
        )

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text()
        fields = {"id": text, "clip_id": text, "origin": text, "caption": text}
        features = tfds.features.FeaturesDict({**fields, "arrays": tfds.features.Scalar(np.object_)})
        return tfds.core.DatasetInfo(builder=self, features=features, description=__doc__)

    def _split_generators(self, dl_manager: Any, pipeline: Any) -> dict[str, Any]:
        return {self.split: self._generate_examples(pipeline)}

    def _generate_examples(self, pipeline: Any) -> Any:
        total, numbers = len(self.encode.open_source()), self._numbers()
        before = sum(len(range(part, total, self.parts)) for part in range(self.part))
        return encoded(pipeline, self.split, numbers, self.encode, str, Path(self.data_dir), before, total)

    def _numbers(self) -> list[int]:
        return list(range(self.part, len(self.encode.open_source()), self.parts))

    def first_fault(self) -> str:
        """See `vpdata_tfds.first_fault`."""
        source = self.encode.open_source()
        return first_fault(self._numbers(), self.encode, lambda number: source[number].id)


def build_latents(
    cfg: LatentConfig,
    open_source: Callable[[], Source],
    make_encoders: Callable[[], ShardEncoders],
    out: Path | str,
    split: str = "train",
    beam_options: list[str] | None = None,
    *,
    parts: int = 1,
    made_with: Mapping[str, Any] | None = None,
) -> Path:
    """Build the shards and store the embedding of the empty caption with them.

    Args:
      cfg: settings.
      open_source: opens the source of clips.
      make_encoders: loads the encoders.
      out: folder of the data set.
      split: name of the split.
      beam_options: options of the Beam pipeline; by default it runs on this machine.
      parts: parts that are built one after the other, each complete or not there; those that are there are kept, so
        that the same call continues after an interruption. Part p has every ``parts``-th clip from number p on.
      made_with: what the shards are made of and with, JSON values by name; parts made with something else are refused.

    Returns:
      The folder of the shards; ``out`` if there are several parts.

    Raises:
      UserError: see `vpdata_tfds.prepare`; more parts than clips; other shards in ``out``.
    """
    encode, made = EncodeClip(cfg, open_source, make_encoders), json.loads(json.dumps(made_with or {}))

    def finish(folder: Path) -> None:
        empty = make_encoders().text([""])
        if empty is not None:
            np.save(folder / EMPTY_TEXT, np.asarray(empty[0], np.float32))
        (folder / MADE_WITH).write_text(json.dumps(made, indent=1))

    if parts == 1:
        return prepare(VpdataLatents, {"encode": encode, "split": split}, out, beam_options, finish)
    built = _check_parts(Path(out), parts, len(open_source()), made)
    if built:
        print(f"{len(built)} of {parts} parts are built already")
    for part in (part for part in range(parts) if part not in built):
        arguments = {"encode": encode, "split": split, "part": part, "parts": parts}
        prepare(VpdataLatents, arguments, Path(out) / part_name(part, parts), beam_options, finish)
    return Path(out)


def _check_parts(out: Path, parts: int, clips: int, made: Mapping[str, Any]) -> set[int]:
    """Numbers of the parts that are built. Raises `UserError` if ``out`` holds anything else."""
    if not 1 < parts <= clips:
        raise UserError(f"{parts} parts of {clips} clips: expected 1 to {clips}")
    places = {Path(out) / part_name(part, parts): part for part in range(parts)}
    built: set[int] = set()
    for folder in builder_folders(out):
        part = places.get(folder.parents[1])
        if part is None:
            raise UserError(f"{show(folder)} is none of {parts} parts: choose another folder, or remove it")
        known = read_json(folder / MADE_WITH, "what shards were made with")
        for name in sorted({*known, *made}):
            if known.get(name) != made.get(name):
                raise UserError(
                    f"{show(folder)} was made with {name} {show(known.get(name))}, not {show(made.get(name))}: choose "
                    f"another folder, or remove its parts"
                )
        built.add(part)
    return built
