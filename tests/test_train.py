"""train.py as a program: it trains, reads every setting, resumes exactly, exports what sampling reads."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.test_configs import config_of
from tests.training.curves import curve
from vp_jax import checkpoint, sharding, trees
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.runs import validation
from vp_jax.runs.plan import make_plan
from vp_jax.runs.run_config import RunConfig, changes
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics
from vp_jax.world.synthetic import World

ROOT = Path(__file__).parent.parent


class Watched:
    """A ConfigDict that remembers which of its keys were asked for."""

    def __init__(self, values, seen, path=""):
        self._values, self._seen, self._path = values, seen, path

    def _get(self, key):
        self._seen.add(f"{self._path}{key}")
        value = self._values[key]
        return Watched(value, self._seen, f"{self._path}{key}.") if isinstance(value, ConfigDict) else value

    def __getattr__(self, key):
        return self._values.to_json if key == "to_json" else self._get(key)

    def __getitem__(self, key):
        return self._get(key)

    def keys(self):
        return self._values.keys()

    def get(self, key, default=None):
        return self._get(key) if key in self._values else default

    def __iter__(self):
        return iter(self._values)


def leaves(config, path=""):
    for key, value in config.items():
        yield from leaves(value, f"{path}{key}.") if isinstance(value, ConfigDict) else [f"{path}{key}"]


@pytest.mark.slow
def test_tiny_trains_and_reads_every_setting(converted, one_device, tmp_path, capsys):
    config = config_of("tiny")
    config.steps, config.ema, config.step.accumulate = 2, True, 2
    config.model.checkpoint = str(converted)
    config.validation.update(every=2, clips=1)
    seen = set()
    assert train(Watched(config, seen), tmp_path) == 0
    unread = set(leaves(config)) - seen
    assert not unread, "settings that nothing reads"
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 2] and "val_hole_psnr" in lines[-1]
    assert all(np.isfinite(line["loss"]) for line in lines[:2])
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["00000002_0.png"]
    assert "step 2/2  loss" in capsys.readouterr().out

    # the export takes the place of its like in the converted folder
    folder = tmp_path / "whole"
    folder.mkdir()
    for name in ("transformer", "vae"):
        (folder / name).symlink_to(converted / name)
    (folder / "branch").symlink_to(tmp_path / "export" / "branch")
    pipeline = Pipeline.load(folder, precision="float32", attention="xla")
    fresh = checkpoint.load_params(converted / "branch")
    moved = [not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (pipeline.params["branch"], fresh)))]
    assert any(moved)


class ToyEncoders:
    """Encoders of the right shapes for latent shards: what training does with their values is what is tested."""

    def video(self, pixels_BFHWC):
        mean_BThwC = np.resize(pixels_BFHWC[:, ::4, ::8, ::8], (*pixels_BFHWC[:, ::4, ::8, ::8].shape[:4], 16))
        return mean_BThwC, np.full_like(mean_BThwC, 0.1)

    def text(self, captions):
        return np.array([np.full((6, 24), len(caption) / 100) for caption in captions], np.float32)


@pytest.mark.slow
def test_adapter_trains_on_latent_shards_and_from_an_adapter(converted, one_device, tmp_path, capsys):
    """Latents alone, no pixels; then a second run from the first one's export, and both exports sample."""
    small = LoaderConfig(frames=9, height=64, width=96, threads=0)
    shards = build_latents(
        LatentConfig(small, masks=2, images=1),
        functools.partial(World, 4, 9, 64, 96),
        ToyEncoders,
        tmp_path / "latents",
    )
    config = config_of("id_adapter:tiny")
    config.steps, config.model.checkpoint, config.log_every = 3, str(converted), 2
    config.data.update(kind="latents", path=str(shards))
    config.validation.update(every=3, clips=1)
    assert train(config, tmp_path / "first") == 0
    assert [line["step"] for line in read_metrics(tmp_path / "first")] == [2, 3, 3]
    capsys.readouterr()
    files = {path: path.read_bytes() for path in (tmp_path / "first").glob("*.json*")}
    assert train(config, tmp_path / "first", export_only=True) == 0
    assert files == {path: path.read_bytes() for path in files}, "writing a model is no start of the run"
    assert "step 3: model written to" in capsys.readouterr().out

    first = tmp_path / "first" / "export" / "id_adapter"
    config.model.init_from, config.steps, config.optimizer.lr = str(first), 1, 1e-30
    config.validation.every = 0
    assert train(config, tmp_path / "second") == 0
    weights = [checkpoint.load_params(tmp_path / name / "export" / "id_adapter") for name in ("first", "second")]
    jax.tree.map(np.testing.assert_array_equal, *weights)
    assert any(np.asarray(leaf).any() for path, leaf in trees.flatten(weights[0]).items() if path.endswith("lora_b"))

    folder = tmp_path / "whole"
    folder.mkdir()
    for name in ("transformer", "vae", "branch"):
        (folder / name).symlink_to(converted / name)
    (folder / "id_adapter").symlink_to(first)
    pipeline = Pipeline.load(folder, precision="float32", attention="xla", id_scale=0.5)
    assert pipeline.models.has_id_adapter and pipeline.models.loras[0].rank == 4


@pytest.mark.slow
def test_optimizer_state_on_the_host_changes_no_number(converted, one_device, tmp_path):
    curves = []
    for offload in (False, True):
        config = config_of("tiny")
        config.model.checkpoint, config.optimizer.offload = str(converted), offload
        config.loader.batch_size = 1
        for config.steps in (2, 3):  # the second run resumes
            config.optimizer.cosine_stretch = 6.0 / config.steps
            assert train(config, tmp_path / str(offload)) == 0
        curves.append(curve(tmp_path / str(offload)))
    assert len(curves[0]) == 3 and curves[0] == curves[1]


def test_validation_reads_its_own_data(monkeypatch, tmp_path):
    config = config_of("tiny")
    config.validation.update(path="elsewhere", split="val")
    config.validation.every = 1
    config.data.update(kind="latents", path="here", csv="rows")
    asked = []

    class Asked(Exception):
        pass

    def open_loader(data_cfg, *rest, **named):
        asked.append(data_cfg)
        raise Asked

    monkeypatch.setattr(validation, "open_loader", open_loader)
    run = RunConfig.read(config, tmp_path)
    size, mesh = (9, 64, 96), sharding.make_mesh({}, jax.devices()[:1])
    plan = make_plan(run.model, run.optimizer, run.step, size, steps=run.steps, ema=run.ema, mesh=mesh)
    with pytest.raises(Asked):
        validation.Validator.prepare(run, plan, None, None, tmp_path, None)
    assert (asked[0].kind, asked[0].path, asked[0].csv, asked[0].split) == ("latents", "elsewhere", "rows", "val")


@pytest.mark.slow
def test_a_run_continues_on_another_mesh(converted, tmp_path, capsys):
    """Four steps on 8 devices and four on 1 give the curve of eight on 1 device, to rounding."""

    def run(workdir, steps, mesh):
        config = config_of("tiny")
        config.mesh.update(mesh)
        config.steps, config.loader.batch_size, config.checkpoints.every = steps, 8, 4
        config.optimizer.cosine_stretch = 8.0 / steps
        config.model.checkpoint = str(converted)
        assert train(config, workdir) == 0

    devices = jax.devices()
    with pytest.MonkeyPatch.context() as patch:
        run(tmp_path / "moved", 4, {"data": 2, "fsdp": 4})
        patch.setattr(jax, "devices", lambda *a: devices[:1])
        run(tmp_path / "moved", 8, {"fsdp": 1})
        run(tmp_path / "whole", 8, {"fsdp": 1})
    text = capsys.readouterr().out
    assert "resumed from step 4; settings changed: " in text and "mesh.fsdp 4 -> 1" in text
    for got, want in zip(curve(tmp_path / "moved"), curve(tmp_path / "whole"), strict=True):
        assert got["loss"] == pytest.approx(want["loss"], rel=1e-5), got["step"]


def test_the_alarm_names_the_steps_of_a_bad_number(tmp_path):
    from vp_jax.runs.recorder import Recorder, duration

    recorder = Recorder(None, lambda step: 1e-5, 100, 8, 1e12, None)
    good = {"loss": np.float32(1), "grad_norm": np.float32(1), "bin_loss": np.ones(10), "bin_count": np.ones(10)}
    recorder.add(5, good, 0.0)
    assert recorder.flush().startswith("step 5/100  loss 1 ")
    assert recorder.flush() is None
    for step, loss in ((6, 1.0), (7, np.inf), (8, 1.0)):
        recorder.add(step, {**good, "loss": np.float32(loss)}, 0.0)
    with pytest.raises(UserError, match="loss not finite between steps 6 and 8"):
        recorder.flush()
    assert [duration(s) for s in (9, 600, 15_000, 273_600)] == ["9 s", "10 min", "4 h 10 min", "3 d 4 h"]


def test_settings_that_changed_are_told():
    before, now = {"optimizer": {"lr": 1e-5}, "steps": 10}, {"optimizer": {"lr": 2e-5}, "steps": 10, "ema": True}
    assert changes(before, now) == ["ema None -> True", "optimizer.lr 1e-05 -> 2e-05"]
    assert changes(before, before) == []
