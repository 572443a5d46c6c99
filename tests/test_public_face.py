"""What `vp_jax` exports, and what importing it costs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vp_jax

ROOT = Path(__file__).parent.parent
HEAVY = ("jax", "flax", "grain", "tensorflow_datasets", "ml_collections", "orbax")


def loaded(code: str) -> set[str]:
    """Which heavy packages a program has loaded at its end."""
    code += f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(eval(done.stdout))


def test_importing_it_and_reading_files_load_no_jax():
    assert loaded("import vp_jax; vp_jax.__version__; dir(vp_jax)") == set()
    assert loaded("from vp_jax import read_video, read_mask, Video, Mask, Settings, UserError, Prompt") == set()


@pytest.mark.slow
def test_the_pipeline_loads_nothing_of_training():
    assert loaded("from vp_jax import Pipeline") & {"grain", "tensorflow_datasets", "ml_collections"} == set()


def test_every_exported_name_is_there():
    for name in vp_jax.__all__:
        assert getattr(vp_jax, name) is getattr(vp_jax, name) and name in dir(vp_jax)
    assert set(vp_jax._PLACES) == set(vp_jax.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="module 'vp_jax' has no attribute 'Pipelines'"):
        getattr(vp_jax, "Pipelines")  # noqa: B009


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "vp_jax.__version__"}
    assert vp_jax.__version__[0].isdigit()
    assert (ROOT / "vp_jax" / "py.typed").is_file()
