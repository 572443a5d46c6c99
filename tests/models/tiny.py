"""Descriptions of a tiny backbone of five blocks and of the context encoder that fits it."""

import dataclasses

from vp_jax.models.config import BranchConfig, DiTConfig

DIT = DiTConfig(
    num_heads=2,
    head_dim=16,
    num_layers=5,
    in_channels=8,
    out_channels=4,
    text_dim=12,
    time_dim=8,
    max_text_len=3,
    sample_height=4,
    sample_width=6,
    sample_frames=9,
)
BRANCH = BranchConfig(dataclasses.replace(DIT, num_layers=2, in_channels=9))
