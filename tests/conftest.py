"""Eight fake CPU devices, strict shapes, reused-key checks, exact matmuls; the golden folder."""

import gc
import os
from importlib.metadata import version

os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
if "xla_backend_optimization_level=0" in os.environ["XLA_FLAGS"] and version("jaxlib").startswith("0.10."):
    # programs that are not optimised compile in half of the time with XLA's older code generator; 0.11 has none
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import jax
import pytest

import tests.torchvision_operators  # noqa: F401
from tests import mlir_context
from tests.compare import DEFAULT, GOLDEN

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_default_matmul_precision", "highest")
mlir_context.reuse()
# programs that several tests share are compiled once, and not again in the next run
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parent.parent / ".pytest_cache" / "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


OPTIMISED = tuple(Path(__file__).parent / name for name in ("parity", "nano", "models/exact"))
"""Folders of tests that CI runs with the programs that users get."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """``-m optimised`` imports no tests of other folders, ``-m "not optimised"`` none of these."""
    expression, path = config.getoption("markexpr"), collection_path
    within = any(path.is_relative_to(folder) for folder in OPTIMISED)
    above = any(folder.is_relative_to(path) for folder in OPTIMISED)
    if (expression == "optimised" and not within and not above) or (expression == "not optimised" and within):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `OPTIMISED`; files with slow tests come first, so that both workers end at the same time."""
    for item in items:
        if any(folder in item.path.parents for folder in OPTIMISED):
            item.add_marker("optimised")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


# traced programs stay: a twentieth of all time went into looking through them for garbage
gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="module", autouse=True)
def settled():
    """What a module leaves is not looked through again by the collector."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of PyTorch reference outputs: ``VP_GOLDEN_DIR``, default ``tests/golden``."""
    assert GOLDEN.is_dir(), f"{GOLDEN} is missing: set VP_GOLDEN_DIR to a folder of reference outputs"
    return GOLDEN


@pytest.fixture
def one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with one chip."""
    only = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda *backend: only)


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """A converted checkpoint made of the reference's tiny models."""
    folder = tmp_path_factory.mktemp("converted")
    from tests.parity import reference as ref
    from vp_jax import checkpoint
    from vp_jax.models import config as model_config

    for name, (cfg, _, params) in {
        "transformer": ref.backbone(DEFAULT),
        "branch": ref.branch(DEFAULT),
        "vae": ref.vae(DEFAULT),
    }.items():
        checkpoint.save_params(folder / name, params, model_config.to_json(cfg))
    return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder of compiled programs that the runs share."""
    return tmp_path_factory.mktemp("programs")
