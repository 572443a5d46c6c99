"""Draws the example clip: a textured scene under a panning camera, a ball crossing it, and the ball's mask.

    python examples/make_clip.py examples        writes examples/ball.mp4 and examples/ball_mask.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from vp_jax.data.video_writer import write_video

FRAMES, HEIGHT, WIDTH, FPS = 33, 160, 240, 8


def hills(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A smooth landscape texture, float (height, width, 3) in [0, 1]: sums of random waves, tinted by height."""
    rows, columns = np.mgrid[:height, :width] / height
    wave = np.zeros((height, width))
    for octave in range(1, 6):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        wave += np.sin(2**octave * (np.cos(angle) * columns + np.sin(angle) * rows) * 2.2 + phase) / octave
    wave = (wave - wave.min()) / np.ptp(wave)
    sky = np.clip(1 - 1.6 * rows, 0, 1)[..., None]
    land = np.stack([0.25 + 0.45 * wave, 0.45 + 0.35 * wave, 0.25 + 0.15 * wave], axis=-1)
    return sky * np.array([0.55, 0.75, 0.95]) + (1 - sky) * land


def draw() -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (F, H, W, 3) and the ball's mask bool (F, H, W)."""
    scene = hills(np.random.default_rng(7), HEIGHT, WIDTH + 2 * FRAMES)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    frames, masks = [], []
    for i in range(FRAMES):
        x = 30 + (WIDTH - 60) * i / (FRAMES - 1)
        y = 108 - 52 * abs(np.sin(i / FRAMES * 3 * np.pi))
        distance = np.hypot(columns - x, rows - y) / 22
        light = np.clip(1.15 - 0.7 * np.hypot(columns - x + 7, rows - y + 8) / 22, 0.25, 1.1)[..., None]
        stripe = np.where(np.sin((columns - x) * 0.35 + i * 0.5) > 0, 1.0, 0.55)[..., None]
        ball = light * (stripe * np.array([0.9, 0.25, 0.2]) + (1 - stripe) * np.array([0.95, 0.9, 0.8]))
        cover = np.clip((1 - distance) * 22, 0, 1)[..., None]
        frames.append(scene[:, 2 * i:2 * i + WIDTH] * (1 - cover) + ball * cover)
        masks.append(distance < 1.12)
    return (np.clip(np.stack(frames), 0, 1) * 255).astype(np.uint8), np.stack(masks)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "examples")
    clip, mask = draw()
    write_video(folder / "ball.mp4", clip, FPS)
    write_video(folder / "ball_mask.mp4", np.repeat(mask[..., None] * np.uint8(255), 3, axis=-1), FPS)
