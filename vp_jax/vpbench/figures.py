"""Figures of a table in HTML alone: each method's mean as a point, its interval as a line, on one scale."""

from __future__ import annotations

import math

from vp_jax.eval.scores import SCORES
from vp_jax.jobs.report.html_text import safe
from vp_jax.vpbench.results_table import GroupTable
from vp_jax.vpbench.written_tables import number_text


def forest(table: GroupTable, score: str) -> str:
    """A figure of one score; "" if no method has a value."""
    known = [row for row in table.rows if not math.isnan(row.values[score].mean)]
    if not known:
        return ""
    bounds = [x for row in known for x in row.values[score][:3] if not math.isnan(x)]
    low, high = min(bounds), max(bounds)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return 2 + 96 * (value - low) / span

    best = table.best(score)
    sign = -1 if SCORES[score].better == "higher" else 1
    lines = []
    for row in sorted(known, key=lambda row: sign * row.values[score].mean):
        value = row.values[score]
        left, right = (at(x) if not math.isnan(x) else at(value.mean) for x in (value.low, value.high))
        lines.append(
            f"<div class=line><span>{safe(row.method)}</span><div class=scale>"
            f'<i style="left:{left:.2f}%;width:{right - left:.2f}%"></i>'
            f'<u{" class=best" if row.method in best else ""} style="left:{at(value.mean):.2f}%"></u></div>'
            f"<b>{safe(number_text(value.mean))}</b></div>"
        )
    direction = f"{SCORES[score].better} is better"
    ends = f"<div class=ends><span>{safe(number_text(low))}</span><span>{safe(number_text(high))}</span></div>"
    return (
        f"<figure class=forest><figcaption>{safe(score)} <small>{safe(SCORES[score].text)}; {direction}</small>"
        f"</figcaption>{''.join(lines)}{ends}</figure>"
    )
