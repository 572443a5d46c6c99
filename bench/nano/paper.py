"""The paper's numbers next to ours (arXiv 2503.05639, tables 2 and 5 = 7, 8, 9): PSNR and SSIM on VPBench.

The paper uses real clips of 480 x 720, a model of 5 billion weights, and metrics of another region. Only the order of
two rows is compared, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.nano.results import paired
from bench.nano.variants import Variant

PSNR_SSIM = {
    "default": (23.32, 0.89), "Cog-Inp": (22.15, 0.82), "Single-branch": (20.54, 0.79), "1-layer branch": (21.92, 0.81),
    "4-layer branch": (22.86, 0.85), "w/o selective tokens": (20.94, 0.74), "w/o ID resample (L)": (21.79, 0.84),
    "with ID resample (L)": (22.19, 0.85),
}  # fmt: skip


def agreement(variants: Sequence[Variant], psnr: Mapping[str, Mapping[str, float]], bases: Sequence[str]) -> list[str]:
    """One sentence for each variant of the paper: whether it is on the same side of the base variant here.

    Args:
      variants: rows of a table.
      psnr: PSNR in the hole by variant and clip.
      bases: names of base variants; the first one with results is used.
    """
    named = {variant.name: variant for variant in variants if variant.paper and variant.name in psnr}
    base = next((name for name in bases if name in named), None)
    if base is None:
        return []
    lines = []
    for name, variant in named.items():
        if variant.paper == named[base].paper:
            continue
        ours = paired(psnr, name, base)
        theirs = PSNR_SSIM[variant.paper][0] - PSNR_SSIM[named[base].paper][0]
        verdict = "cannot tell" if ours.low <= 0 <= ours.high else "agrees" if ours.mean * theirs > 0 else "disagrees"
        lines.append(
            f"**{verdict}**: {variant.label}, minus {named[base].label}: {ours.mean:+.2f} dB "
            f"[{ours.low:+.2f}, {ours.high:+.2f}] clip by clip here, {theirs:+.2f} dB in the paper"
        )
    return lines


def differences(
    variants: Sequence[Variant], values: Mapping[str, Mapping[str, float]], base: str, unit: str
) -> list[str]:
    """One sentence for every sampled variant with its mean difference from ``base``, clip by clip.

    Args:
      variants: rows of a table.
      values: a metric by variant and clip.
      base: name of the variant to compare with.
      unit: unit of the metric.
    """
    rows = [variant for variant in variants if variant.kind == "model" and variant.name in values]
    label = next((variant.label for variant in rows if variant.name == base), None)
    found = [(variant.label, paired(values, variant.name, base)) for variant in rows if label and variant.name != base]
    return [f"{name}, minus {label}: {gap.mean:+.2f} {unit} [{gap.low:+.2f}, {gap.high:+.2f}]" for name, gap in found]
