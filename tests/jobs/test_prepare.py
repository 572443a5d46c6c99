"""Before windows are sampled: prompts, seeds, and unfinished work of another job."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.jobs.small_job import finish, sampled_windows, small_job
from tests.painter import painter  # noqa: F401
from vp_jax.errors import UserError
from vp_jax.inference.plan import Position
from vp_jax.jobs.manifest import Manifest
from vp_jax.jobs.outputs import job_folder
from vp_jax.jobs.run import run


def stop(job, *, after=3):
    """Leave a run after some steps."""
    with closing(run(job)) as events:
        for event in events:
            if isinstance(event, Position) and event.done == after:
                return


def contents(job):
    return {path.name: path.read_bytes() for path in job_folder(job.out).iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes, message, early",
    [
        ({"settings": {"steps": 2, "guidance": 3.0, "seed": 3}}, "^seed 3 here, 42 in .*out.job: remove the fo", True),
        ({"settings": {"steps": 3, "guidance": 3.0}}, "^steps 3 here, 2 in .*out.job: remove the folder or give", True),
        ({"settings": {"steps": 2}}, "^guidance 6.0 here, 3.0 in .*out.job: remove the folder or give `fresh`", False),
        ({"settings": {"steps": 2, "guidance": 3.0, "step_cache": "1x"}}, "^step_cache 1x here, None in .*: rem", True),
        ({"extend": "left=16"}, "^the holes differ: remove the folder or give `fresh`", False),
        ({"task": "remove", "mask_dilate": 3}, "^the holes differ: remove", False),
        ({"mask_dilate": 9}, "^the holes differ: remove the folder or give `fresh`", False),
        ({"start": 1}, "^frames 12 here, 13 in .*out.job, the frames of the video differ: remove", False),
        ({"stop": 9}, "^frames 9 here, 13 in .*out.job, the holes differ: remove", False),
        ({"id_adapter": False}, "^the weights differ, precision, attention or adapters differ: remove", False),
    ],
)
def test_another_job_is_refused_and_nothing_is_touched(tmp_path, changes, message, early, monkeypatch):
    stop(small_job(tmp_path))
    before = contents(small_job(tmp_path))
    if early:
        monkeypatch.setattr("vp_jax.inference.pipeline.load_models", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(UserError, match=message) as caught:
        finish(small_job(tmp_path, **changes))
    assert "\n" not in str(caught.value) and contents(small_job(tmp_path)) == before


@pytest.mark.slow
def test_another_fit_is_refused_where_the_model_sees_other_pixels(tmp_path):
    film = clip_files.folder(tmp_path / "film", clip_files.moving(13, 32, 64))
    hole_HW = np.zeros((32, 64), np.uint8)
    hole_HW[8:20, 4:16] = 255
    Image.fromarray(hole_HW).save(tmp_path / "hole.png")
    given = {"video": film, "mask": tmp_path / "hole.png"}
    stop(small_job(tmp_path, **given))
    for fit in ("crop", "letterbox"):
        with pytest.raises(UserError, match=r"^the frames of the video differ: "):
            finish(small_job(tmp_path, **given, fit=fit))
    _, events = finish(small_job(tmp_path, **given))
    assert sampled_windows(events)[0] == "window 2/3"


@pytest.mark.slow
def test_changed_inputs_are_refused_and_fresh_or_a_return_to_the_old_ones_continues(tmp_path):
    want, _ = finish(small_job(tmp_path, out=tmp_path / "want.mkv"))
    stop(small_job(tmp_path))
    mask = (tmp_path / "mask.png").read_bytes()
    Image.fromarray(np.full((32, 32), 255, np.uint8) * (np.indices((32, 32))[0] > 15)).save(tmp_path / "mask.png")
    with pytest.raises(UserError, match=r"^the holes differ: "):
        finish(small_job(tmp_path))
    (tmp_path / "mask.png").write_bytes(mask)
    got, events = finish(small_job(tmp_path))
    assert sampled_windows(events)[0] == "window 2/3"
    np.testing.assert_array_equal(got, want)
    stop(small_job(tmp_path, out=tmp_path / "b.mkv"))
    settings = {"steps": 2, "guidance": 3.0, "seed": 3}
    other = small_job(tmp_path, out=tmp_path / "b.mkv", settings=settings, fresh=True)
    got, events = finish(other)
    assert sampled_windows(events)[0] == "window 1/3" and (got != want).any()


def test_each_window_has_its_prompt_and_the_manifest_shows_it(tmp_path, painter):  # noqa: F811
    (tmp_path / "p.json").write_text('{"windows": ["a", null]}')
    words = {"prompt": "general", "prompts": tmp_path / "p.json", "prompt_embeds": None, "negative_prompt": "no"}
    job = small_job(tmp_path, **words, settings={"steps": 1, "window": 9, "overlap": 5})
    finish(job)
    assert painter.calls["prompt"] == ("a", "no", "general", "no")
    prompts = painter.calls["windows"][1]
    assert [prompt.positive_ME[0, 0] for prompt in prompts] == [1, 7] and prompts[0].negative_ME[0, 0] == 2
    manifest = Manifest.read(job_folder(job.out))
    assert [window.prompt for window in manifest.windows] == ["a", "general"]
    with pytest.raises(UserError, match=r"prompts: window 2 has none"):
        finish(small_job(tmp_path, **{**words, "prompt": None}, settings={"steps": 1, "window": 9, "overlap": 5}))


@pytest.mark.slow
def test_a_finished_job_gives_way(tmp_path):
    finish(small_job(tmp_path))
    _, events = finish(small_job(tmp_path, settings={"steps": 1}))
    assert sampled_windows(events) == ["window 1/3", "window 2/3", "window 3/3"]
    assert Manifest.read(job_folder(tmp_path / "out.mkv")).facts["steps"] == 1
