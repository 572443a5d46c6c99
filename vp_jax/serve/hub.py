"""Server-sent events: each listener gets the latest state of whatever changed.

A listener that is slow does not make the server remember more: of each object only the newest state waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from pydantic import BaseModel

_QUIET = 15.0
"""Seconds after which a comment tells proxies that the connection lives."""


class Hub:
    """Where states are published."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._number = 0

    def publish(self, key: str, kind: str, state: BaseModel | None) -> None:
        """Tell all listeners the new state of an object; ``None``: it is gone."""
        data = state.model_dump_json() if state is not None else f'{{"id":"{key}"}}'
        kind = kind if state is not None else "removed"
        self._number += 1
        text = f"id: {self._number}\nevent: {kind}\ndata: {data}\n\n"
        for listener in self._listeners:
            listener.put(key, text)

    async def listen(self, first: Iterable[tuple[str, str, BaseModel]], only: str | None) -> AsyncIterator[str]:
        """The text of an event stream, without end.

        Args:
          first: states that the listener has to know, as (key, kind, state).
          only: the one object that it asks for; ``None``: all.
        """
        listener = _Listener(only)
        self._listeners.add(listener)
        try:
            yield "retry: 2000\n\n"
            for key, kind, state in first:
                if only in (None, key):
                    yield f"id: {self._number}\nevent: {kind}\ndata: {state.model_dump_json()}\n\n"
            while True:
                yield await listener.next()
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self, only: str | None) -> None:
        self._only = only
        self._waiting: dict[str, str] = {}
        self._some = asyncio.Event()

    def put(self, key: str, text: str) -> None:
        if self._only in (None, key):
            self._waiting.pop(key, None)
            self._waiting[key] = text
            self._some.set()

    async def next(self) -> str:
        try:
            await asyncio.wait_for(self._some.wait(), _QUIET)
        except TimeoutError:
            return ": quiet\n\n"
        texts, self._waiting = "".join(self._waiting.values()), {}
        self._some.clear()
        return texts
