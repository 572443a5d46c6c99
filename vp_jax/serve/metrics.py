"""Numbers for Prometheus, in its text format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

Labels = tuple[tuple[str, str], ...]
_HELP = {
    "vp_jax_requests_total": ("counter", "Requests by method, route and status."),
    "vp_jax_upload_bytes_total": ("counter", "Bytes that were uploaded."),
    "vp_jax_jobs_finished_total": ("counter", "Jobs that ended, by how they ended."),
    "vp_jax_steps_total": ("counter", "Denoising steps that were done."),
    "vp_jax_job_seconds_total": ("counter", "Seconds that jobs had the device."),
    "vp_jax_worker_restarts_total": ("counter", "Worker processes that ended unexpectedly."),
    "vp_jax_jobs": ("gauge", "Jobs by state."),
    "vp_jax_waiting": ("gauge", "Tasks that wait for a worker, by worker."),
    "vp_jax_disk_free_bytes": ("gauge", "Free bytes where the server keeps its files."),
}


class Counters:
    """Counts that only grow, by name and labels."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, Labels], float] = defaultdict(float)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count ``amount`` more."""
        self._values[name, tuple(sorted(labels.items()))] += amount

    def text(self, gauges: Mapping[str, Iterable[tuple[Mapping[str, str], float]]]) -> str:
        """All counters, and gauges as they are now, in Prometheus' text format (version 0.0.4)."""
        found: dict[str, list[tuple[Labels, float]]] = defaultdict(list)
        for (name, labels), value in sorted(self._values.items()):
            found[name].append((labels, value))
        for name, pairs in gauges.items():
            found[name] += [(tuple(sorted(labels.items())), value) for labels, value in pairs]
        lines = []
        for name, rows in found.items():
            kind, words = _HELP[name]
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_braces(labels)} {value:.15g}" for labels, value in rows]
        return "\n".join(lines) + "\n"


class RequestCounter:
    """ASGI middleware that counts answers.

    Args:
      app: what it stands in front of.
      counters: where it counts.
    """

    def __init__(self, app: Any, counters: Counters) -> None:
        self._app, self._counters = app, counters

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, and count its answer."""

        async def counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                labels = {"method": scope["method"], "route": route, "status": str(message["status"])}
                self._counters.add("vp_jax_requests_total", **labels)
            await send(message)

        await self._app(scope, receive, counted if scope["type"] == "http" else send)


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
