"""The numbers of the paper (arXiv 2503.05639), by the number of their table.

LPIPS, MSE and MAE are multiplied by 100. Which columns of the released program made tables 2 and 3 cannot be found out
from the paper and the program: its "masked" columns compare an unmasked original with a masked result, and six settings
of dilation and pasting exist. Compare the order of methods, not the values.
"""

from __future__ import annotations

from typing import NamedTuple

PAPER_COLUMNS = ("PSNR", "SSIM", "LPIPS", "MSE", "MAE", "CLIP Sim", "CLIP Sim (M)", "FVID")

OURS_OF_PAPER = {
    "PSNR": "psnr_outside", "SSIM": "ssim_outside", "LPIPS": "lpips_squeeze_outside", "MSE": "mse_outside",
    "MAE": "mae_outside", "CLIP Sim": "clip_vit_l14", "CLIP Sim (M)": "clip_vit_l14_hole", "FVID": "fvd",
}  # fmt: skip
"""What the paper says that a column measures, as a score of ours."""

PAPER_SCALES = {"LPIPS": 100.0, "MSE": 100.0, "MAE": 100.0}


class PaperTable(NamedTuple):
    """A table of the paper: its number, what it is about, and values of `PAPER_COLUMNS` by method."""

    number: int
    title: str
    rows: dict[str, tuple[float, ...]]


PAPER_TABLES = {
    "vpbench-s": PaperTable(2, "inpainting, VPBench-S", {
        "ProPainter": (20.97, 0.87, 9.89, 1.24, 3.56, 7.31, 17.18, 0.44),
        "COCOCO": (19.27, 0.67, 14.80, 1.62, 6.38, 7.95, 20.03, 0.69),
        "Cog-Inp": (22.15, 0.82, 9.56, 0.88, 3.92, 8.41, 21.27, 0.18),
        "VideoPainter": (23.32, 0.89, 6.85, 0.82, 2.62, 8.66, 21.49, 0.15),
    }),
    "vpbench-l": PaperTable(2, "inpainting, VPBench-L", {
        "ProPainter": (20.11, 0.84, 11.18, 1.17, 3.71, 9.44, 17.68, 0.48),
        "COCOCO": (19.51, 0.66, 16.17, 1.29, 6.02, 11.00, 20.42, 0.62),
        "Cog-Inp": (19.78, 0.73, 12.53, 1.33, 5.13, 11.47, 21.22, 0.21),
        "VideoPainter": (22.19, 0.85, 9.14, 0.71, 2.92, 11.52, 21.54, 0.17),
    }),
    "davis": PaperTable(2, "inpainting, DAVIS with random masks", {
        "ProPainter": (23.99, 0.92, 5.86, 0.98, 2.48, 7.54, 16.69, 0.12),
        "COCOCO": (21.34, 0.66, 10.51, 0.92, 4.99, 6.73, 17.50, 0.33),
        "Cog-Inp": (23.92, 0.79, 10.78, 0.47, 3.23, 7.03, 17.53, 0.17),
        "VideoPainter": (25.27, 0.94, 4.29, 0.45, 1.41, 7.21, 18.46, 0.09),
    }),
    "vpbench-edit": PaperTable(3, "editing, VPBench standard", {
        "UniEdit": (9.96, 0.36, 56.68, 11.08, 25.78, 8.46, 14.23, 1.36),
        "DiTCtrl": (9.30, 0.33, 57.42, 12.73, 27.45, 8.52, 15.59, 0.57),
        "ReVideo": (15.52, 0.49, 27.68, 3.49, 11.14, 9.34, 20.01, 0.42),
        "VideoPainter": (22.63, 0.91, 7.65, 1.02, 2.90, 8.67, 20.20, 0.18),
    }),
    "vpbench-edit-l": PaperTable(3, "editing, VPBench long", {
        "UniEdit": (10.37, 0.30, 54.61, 10.25, 24.89, 10.85, 15.42, 1.00),
        "DiTCtrl": (9.76, 0.28, 62.49, 11.50, 26.64, 11.78, 16.52, 0.56),
        "ReVideo": (15.50, 0.46, 28.57, 3.92, 12.24, 11.22, 20.50, 0.35),
        "VideoPainter": (22.60, 0.90, 7.53, 0.86, 2.76, 11.85, 19.38, 0.11),
    }),
}  # fmt: skip
"""Tables 2 and 3 by the name of the benchmark."""

PAPER_QUESTIONS = ("background", "text", "quality")
PAPER_STUDIES = {
    "inpainting": PaperTable(4, "user study, inpainting", {
        "ProPainter": (3.5, 2.5, 1.7),
        "COCOCO": (7.0, 2.7, 2.1),
        "Cog-Inp": (15.3, 12.3, 8.8),
        "VideoPainter": (74.2, 82.5, 87.4),
    }),
    "editing": PaperTable(6, "user study, editing", {
        "UniEdit": (3.3, 3.7, 2.8),
        "DiTCtrl": (5.8, 6.1, 4.2),
        "ReVideo": (12.5, 14.1, 11.3),
        "VideoPainter": (78.4, 76.1, 81.7),
    }),
}  # fmt: skip
"""Tables 4 and 6: percent of votes for background preservation, text alignment and video quality."""

PAPER_CAVEAT = (
    "LPIPS, MSE and MAE x 100. Which released columns made this table is not known; compare the order, not the values."
)


def paper_method(name: str, table: PaperTable) -> str | None:
    """The paper's name of a method, whatever its capitals and dashes; None if the table has no such row."""
    plain = _plain(name)
    return next((theirs for theirs in table.rows if _plain(theirs) == plain), None)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
