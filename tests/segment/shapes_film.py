"""Short films of plain things whose masks are known, for tests of trackers."""

import numpy as np

HEIGHT, WIDTH = 60, 90


def disc(x: float, y: float, radius: float = 9) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def ground() -> np.ndarray:
    coarse = np.random.default_rng(3).integers(60, 120, (HEIGHT // 6, WIDTH // 6, 1))
    return np.repeat(np.repeat(coarse, 6, 0), 6, 1).repeat(3, 2).astype(np.uint8)


def film(*paths, frames: int = 12):
    """Frames and masks of discs: each path is (colour, x, y, dx, dy), later ones in front."""
    pictures, masks = [], []
    for number in range(frames):
        picture, own = ground(), []
        for colour, x, y, dx, dy in paths:
            here = disc(x + dx * number, y + dy * number)
            picture[here] = colour
            own = [mask & ~here for mask in own] + [here]
        pictures.append(picture)
        masks.append(own)
    return pictures, masks


RED, BLUE = (220, 40, 40), (40, 60, 220)
