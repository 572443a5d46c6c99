"""Peak memory of a conversion: a checkpoint of several shards is never completely in memory."""

import json
import re
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from vp_jax import checkpoint, trees
from vp_jax.convert import dit, engine, files, parts
from vp_jax.models import config
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import DiT

CFG = DiTConfig(num_heads=16, head_dim=64, num_layers=28, text_dim=64)
SHARD = 300 * 2**20


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


class PeakMemory(threading.Thread):
    """Samples the process' anonymous memory (page cache and mapped files do not count)."""

    def __enter__(self):
        self.done, self.before = threading.Event(), anonymous_bytes()
        self.peak = self.before
        self.start()
        return self

    def run(self):
        while not self.done.wait(0.003):
            self.peak = max(self.peak, anonymous_bytes())

    def __exit__(self, *_):
        self.done.set()
        self.join()

    @property
    def growth(self) -> int:
        return self.peak - self.before


def torch_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original checkpoint of `CFG`, in its order: embeddings, blocks, output."""
    _, shapes = trees.abstract(lambda: DiT(CFG, rngs=nnx.Rngs(0)))
    dummies = {k: np.broadcast_to(np.int8(0), v.shape) for k, v in trees.flatten(shapes).items()}
    tensors = engine.to_torch(trees.unflatten(dummies), dit.RULES, dit.torch_shapes(CFG))
    order = sorted(tensors, key=lambda k: ([int(n) for n in re.findall(r"blocks\.(\d+)", k)] or [0], k))
    return {k: tensors[k].shape for k in order}


def write_checkpoint(folder: Path) -> list[int]:
    """A random checkpoint in shards of at most `SHARD` bytes; returns their sizes."""
    draw = np.random.default_rng(0)

    def random(shape):
        return (0.02 * draw.standard_normal(shape, dtype=np.float32)).astype(ml_dtypes.bfloat16)

    shards: list[dict[str, files.Tensor]] = [{}]
    for key, shape in torch_shapes().items():
        tensor = files.Tensor(shape, np.dtype(ml_dtypes.bfloat16), lambda shape=shape: random(shape))
        if sum(t.nbytes for t in shards[-1].values()) + tensor.nbytes > SHARD:
            shards.append({})
        shards[-1][key] = tensor
    names = [f"diffusion_pytorch_model-{i:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, shard in zip(names, shards):
        files.write_tensors(folder / name, shard)
    where = {key: name for name, shard in zip(names, shards) for key in shard}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "config.json").write_text(json.dumps(dit.config_to_torch(CFG)))
    return [(folder / name).stat().st_size for name in names]


@pytest.mark.slow
def test_peak_memory_is_below_the_largest_shard(tmp_path, record_property):
    sizes = write_checkpoint(tmp_path / "in")
    assert len(sizes) >= 4
    with PeakMemory() as memory:
        report = parts.convert("transformer", tmp_path / "in", tmp_path / "out", ml_dtypes.bfloat16)
    figures = {
        "checkpoint_MB": sum(sizes) >> 20,
        "largest_shard_MB": max(sizes) >> 20,
        "peak_growth_MB": memory.growth >> 20,
        "seconds": round(report.seconds, 1),
    }
    record_property("memory", figures)
    print(figures)
    assert memory.growth < 1.3 * max(sizes), figures

    cfg = config.from_json(checkpoint.load_config(tmp_path / "out"))
    params = checkpoint.load_params(tmp_path / "out", trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))[1])
    source = files.read_tensors(tmp_path / "in")
    for layer in (0, CFG.num_layers - 1):
        want = np.asarray(source[f"transformer_blocks.{layer}.ff.net.0.proj.weight"]).T
        np.testing.assert_array_equal(np.asarray(params["blocks"]["ff"]["up"]["kernel"][layer]), want)
