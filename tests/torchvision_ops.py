"""Oracles that import torchvision, also where its compiled operators do not fit the installed PyTorch.

Import `lpips`, `torchmetrics`, `torchvision` and the CLIP of `transformers` from here. Only Python code of torchvision
serves as an oracle; its import registers shapes of operators that must exist by name.
"""

import torch

_OPERATORS = ("nms", "qnms")

try:
    import torchvision
except RuntimeError:
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS:
        LIBRARY.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

import lpips  # noqa: E402
import torchmetrics  # noqa: E402
import transformers  # noqa: E402

__all__ = ["lpips", "torchmetrics", "torchvision", "transformers"]
