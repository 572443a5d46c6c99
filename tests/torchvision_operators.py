"""Operators of torchvision, defined by name alone where its compiled ones do not fit the installed PyTorch.

PyPI's torchvision is built for CUDA and does not load beside the CPU build of PyTorch: its import fails, and with it
that of transformers and diffusers. Only Python code of torchvision serves as an oracle here, so names are enough.
`tests/conftest.py` imports this module before anything else.
"""

import importlib.util
from pathlib import Path

import torch

_OPERATORS = ("nms", "qnms")


def _fits(folder: Path) -> bool:
    """Whether the compiled part of torchvision loads."""
    try:
        for library in folder.glob("_C*.so"):
            torch.ops.load_library(library)
    except OSError:
        return False
    return True


_found = importlib.util.find_spec("torchvision")
if _found is not None and not _fits(Path(str(_found.origin)).parent):
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for _operator in _OPERATORS:
        LIBRARY.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
