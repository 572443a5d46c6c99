"""Clips made of numbers: a bright square that moves over a coloured noise pattern, with its mask. Needs no files."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from vp_jax.data.records import ClipInfo

COLOURS = ("red", "green", "blue", "white")


@dataclasses.dataclass(frozen=True)
class SyntheticClip:
    """Clip ``number``; everything follows from the number."""

    number: int
    frames: int
    height: int
    width: int

    @property
    def id(self) -> str:
        return f"synthetic-{self.number}"

    @property
    def origin(self) -> str:
        return "synthetic"

    @property
    def caption(self) -> str:
        return f"a {COLOURS[self.number % len(COLOURS)]} square moves over a still background"

    def open(self) -> ClipInfo:
        return ClipInfo(self.frames, 8.0)

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.number)
        size = max(2, min(self.height, self.width) // 3)
        coarse = rng.integers(0, 128, (-(-self.height // 8), -(-self.width // 8), 3), np.uint8)
        still_HWC = coarse.repeat(8, axis=0).repeat(8, axis=1)[: self.height, : self.width]
        frames_FHWC = np.stack([still_HWC] * len(indices_F))
        masks_FHW = np.zeros(frames_FHWC.shape[:3], np.uint8)
        begin, end = rng.uniform(0, 1, (2, 2))
        span = np.array([self.height - size, self.width - size])
        index = self.number % len(COLOURS)
        colour = np.full(3, 255, np.uint8) if index == 3 else np.eye(3, dtype=np.uint8)[index] * 255
        for place, frame in enumerate(indices_F):
            part = frame / max(self.frames - 1, 1)
            row, column = (span * (begin + part * (end - begin))).astype(int)
            frames_FHWC[place, row:row + size, column:column + size] = colour
            masks_FHW[place, row:row + size, column:column + size] = 1
        return frames_FHWC, masks_FHW


@dataclasses.dataclass(frozen=True)
class SyntheticClips:
    """A source of ``count`` clips."""

    count: int
    frames: int
    height: int
    width: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> SyntheticClip:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return SyntheticClip(index, self.frames, self.height, self.width)


@dataclasses.dataclass(frozen=True)
class WordIds:
    """A tokenizer without a file: the same word always has the same id, 0 fills up to ``length``."""

    length: int

    def __call__(self, caption: str) -> np.ndarray:
        ids = [1 + zlib.crc32(word.encode()) % 32000 for word in caption.split()][: self.length]
        return np.array(ids + [0] * (self.length - len(ids)), np.int32)
