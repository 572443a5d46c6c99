"""Eight fake CPU devices, strict shapes, reused-key checks, exact matmuls; the golden folder."""

import os

os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import jax
import pytest

from tests.compare import GOLDEN

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_default_matmul_precision", "highest")
# programs that several tests share are compiled once, and not again in the next run
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parent.parent / ".pytest_cache" / "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


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
