"""Oracles that import torchvision, also where its compiled operators do not fit the installed PyTorch."""

import tests.torchvision_operators  # noqa: F401  isort: skip

import lpips
import torchmetrics
import torchvision
import transformers

__all__ = ["lpips", "torchmetrics", "torchvision", "transformers"]
