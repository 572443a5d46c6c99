"""Events: what a listener gets, and how little waits for a slow one."""

import asyncio
import json

from tests.serve.drawn import GONE, JOB
from vp_jax.serve import hub as hub_module
from vp_jax.serve.hub import Hub
from vp_jax.serve.schemas import VideoState


def video(prepared, name=JOB):
    return VideoState(id=name, made=0.0, name="a film", prepared=prepared)


def heard(hub, changes, *, only=None, first=(), count=1):
    """Texts that a listener gets which asks after all changes were made."""

    async def run():
        stream = hub.listen(first, only)
        texts = [await anext(stream)]
        texts += [await anext(stream) for _ in first]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for change in changes:
            hub.publish(*change)
        texts.append(await waiting)
        for _ in range(count - 1):
            texts.append(await anext(stream))
        await stream.aclose()
        return texts

    return asyncio.run(run())


def test_a_slow_listener_gets_the_newest_state_of_each_object():
    changes = [(JOB, "video", video(k)) for k in range(100)] + [(GONE, "video", None)]
    begin, state, text = heard(Hub(), changes, first=[(JOB, "video", video(0))])
    assert begin == "retry: 2000\n\n" and json.loads(state.partition("data: ")[2])["prepared"] == 0
    events = [event.split("\n") for event in text.strip().split("\n\n")]
    assert [event[:2] for event in events] == [["id: 100", "event: video"], ["id: 101", "event: removed"]]
    assert json.loads(events[0][2].removeprefix("data: "))["prepared"] == 99
    assert events[1][2] == f'data: {{"id":"{GONE}"}}'


def test_a_listener_to_one_object_hears_of_no_other():
    changes = [(GONE, "video", video(1, GONE)), (JOB, "video", video(2))]
    text = heard(Hub(), changes, only=JOB)[-1]
    assert GONE not in text and '"prepared":2' in text


def test_a_quiet_stream_says_that_it_lives(monkeypatch):
    monkeypatch.setattr(hub_module, "_QUIET", 0.01)
    assert heard(Hub(), [])[-1] == ": quiet\n\n"
