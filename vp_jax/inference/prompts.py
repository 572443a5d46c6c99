"""Prompts that change along a video: one for each window, or one for each span of time.

    [{"from": "0:00", "to": "0:05", "prompt": "a red fox"}, {"from": "0:05", "prompt": "a grey fox"}]
    {"windows": ["a red fox", null, "a grey fox"]}

Times are those that a player shows for the source, as seconds (4.5) or text ("1:04.5"). A window has one prompt: that
of the span in which the middle of the window's frames lies. Spans may not overlap; they may leave gaps, which take the
general prompt. Nothing here needs JAX.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from vp_jax.errors import UserError
from vp_jax.inference.plan import WindowPlan
from vp_jax.inference.settings import Settings
from vp_jax.reading import parse_value, read_bytes, show

_EXPECTED = 'a list of {"from": "0:00", "to": "0:05", "prompt": "..."}, or {"windows": ["...", "..."]}'
_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


class Timing(Protocol):
    """What is known of when frames are shown; a `vp_jax.inference.inputs.Video`."""

    @property
    def fps(self) -> Any:
        """Frames per second."""
        ...

    @property
    def start_seconds(self) -> float:
        """Time of the first frame in the source."""
        ...

    def __len__(self) -> int: ...


class Span(NamedTuple):
    """A prompt for the seconds from ``start`` up to ``stop``, which is not in the span."""

    start: float
    stop: float
    prompt: str


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Prompts by window, or by time.

    Attributes:
      windows: of each window; ``None`` takes ``general``.
      spans: in the order of time; not together with ``windows``.
      general: where no other prompt holds.

    Raises:
      UserError: both or none of them, empty or overlapping spans.
    """

    windows: tuple[str | None, ...] = ()
    spans: tuple[Span, ...] = ()
    general: str | None = None

    def __post_init__(self) -> None:
        if bool(self.windows) == bool(self.spans):
            raise UserError("prompts: expected one for each window, or spans of time, and not both")
        for span in self.spans:
            if not 0 <= span.start < span.stop:
                raise UserError(f"prompts: from {clock(span.start)} to {clock(span.stop)} is no span of time")
        for before, after in zip(self.spans, self.spans[1:]):
            if after.start < before.stop:
                raise UserError(
                    f"prompts: the spans from {clock(before.start)} to {clock(before.stop)} and from "
                    f"{clock(after.start)} overlap: end the first where the second begins"
                )

    @classmethod
    def read(cls, path: str | Path, general: str | None = None) -> Prompts:
        """Prompts from a JSON file, see the module.

        Raises:
          UserError: another kind of file, named with what was expected.
        """
        name = show(path)
        values = parse_value(read_bytes(path), name, _EXPECTED)
        try:
            if isinstance(values, dict) and set(values) == {"windows"} and isinstance(values["windows"], list):
                return cls(windows=tuple(_text(value, optional=True) for value in values["windows"]), general=general)
            if isinstance(values, list):
                return cls(spans=_spans(values), general=general)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
        raise UserError(f"{name}: expected {_EXPECTED}")

    def distinct(self) -> list[str]:
        """The different prompts, without the general one."""
        return list(dict.fromkeys([*filter(None, self.windows), *(span.prompt for span in self.spans)]))

    def texts(self, plan: WindowPlan, settings: Settings, video: Timing) -> list[str]:
        """The prompt of each window.

        Args:
          plan: where windows start.
          settings: how long they are.
          video: whose frames they are.

        Raises:
          UserError: another number of windows, or a window without a prompt.
        """
        count = len(plan.windows)
        if self.windows and len(self.windows) != count:
            raise UserError(f"prompts: {len(self.windows)} prompts for windows, the video has {count} windows")
        return [self._text(number, *_seconds(plan.windows[number], settings, video)) for number in range(count)]

    def _text(self, number: int, begin: float, end: float) -> str:
        middle = (begin + end) / 2
        if self.windows:
            found, place = self.windows[number], "has none"
        else:
            found = next((span.prompt for span in self.spans if span.start <= middle < span.stop), None)
            place = f"({clock(begin)} to {clock(end)}) has its middle, {clock(middle)}, in no span"
        text = self.general if found is None else found
        if text is None:
            raise UserError(f"prompts: window {number + 1} {place}: add one, or give `prompt` for what is left")
        return text


def clock(seconds: float) -> str:
    """``64.5`` -> ``1:04.5``."""
    if seconds == math.inf:
        return "the end"
    minutes, rest = divmod(round(seconds, 3), 60)
    text = f"{rest:06.3f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}:{text}"


def _seconds(start: int, settings: Settings, video: Timing) -> tuple[float, float]:
    """When a window's own frames, without padding, begin and end."""
    stop = min(start + settings.window, len(video))
    begin = video.start_seconds
    return begin + start / float(video.fps), begin + stop / float(video.fps)


def _spans(values: Sequence[Any]) -> tuple[Span, ...]:
    """Spans out of JSON: without "from" one begins where the one before it ends, without "to" it ends at the next."""
    begins: list[float] = []
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict) or not set(value) <= {"from", "to", "prompt"} or "prompt" not in value:
            raise UserError(f'span {number}: expected "from", "to" and "prompt"')
        if number > 1 and "from" not in value and "to" not in values[number - 2]:
            raise UserError(f'span {number}: expected "from", as the span before it has no "to"')
        begins.append(_time(value.get("from", values[number - 2].get("to", 0) if number > 1 else 0)))
    if begins != sorted(begins):
        raise UserError("the spans are not in the order of time")
    ends = [_time(v["to"]) if "to" in v else next_ for v, next_ in zip(values, [*begins[1:], math.inf])]
    return tuple(Span(start, stop, _text(v["prompt"])) for start, stop, v in zip(begins, ends, values))


def _time(value: Any) -> float:
    """Seconds from a number, or from ``"1:02:03.5"``.

    Raises:
      UserError: no time.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    found = _TIME.fullmatch(value) if isinstance(value, str) and len(value) < 40 else None
    if found is None:
        raise UserError(f"{show(repr(value))} is no time: expected seconds, or text such as 0:05 or 1:02:03.5")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def _text(value: Any, *, optional: bool = False) -> Any:
    if not (isinstance(value, str) or (optional and value is None)):
        raise UserError(f"{show(repr(value))}: expected a prompt as text" + (", or null" if optional else ""))
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:  # JSON may hold half of a character
        raise UserError(f"{show(repr(value))}: expected text in UTF-8") from error
    return value
