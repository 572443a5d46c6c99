"""Where a run is, as numbers and a label for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vp_jax.inference.decode import Decoded
from vp_jax.inference.plan import Position, WindowPlan
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import Continued, Event, StepDone

ProgressFn = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, label)."""


def position(event: Event | Decoded, plan: WindowPlan, settings: Settings) -> Position | None:
    """Where a run is at this event; ``None`` for an event that is no news."""
    count = len(plan.windows)
    total = count * settings.steps
    if isinstance(event, StepDone | Continued):
        label = f"window {event.window + 1}/{count}" + (" continued" if isinstance(event, Continued) else "")
        if settings.joint and event.done:
            shot = next(shot for shot in plan.shots if event.window < shot.window + shot.windows)
            done = shot.window * settings.steps + (event.done - 1) * shot.windows + event.window - shot.window + 1
            return Position(done, total, label)
        return Position(event.window * settings.steps + event.done, total, label)
    if isinstance(event, Decoded):
        made = event.start + len(event.frames_FHWC)
        return Position((event.window + 1) * settings.steps, total, f"decoding {made}/{plan.output_frames} frames")
    return None


def reported(
    events: Iterable[Event | Decoded], plan: WindowPlan, settings: Settings, progress: ProgressFn | None
) -> Iterator[Event | Decoded]:
    """Pass events on once the device has finished them, and report each to ``progress``."""
    for event in events:
        if progress is not None and (here := position(event, plan, settings)):
            if isinstance(event, StepDone):
                event.state.x.block_until_ready()
            progress(*here)
        yield event
