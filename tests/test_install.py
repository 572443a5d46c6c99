"""The installed package: sdist to wheel, a fresh environment outside the checkout, every door of it."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import vp_jax
from tests.children import CACHE, devices
from vp_jax.cli.main import COMMANDS
from vp_jax.cli.settings import names

ROOT = Path(__file__).parent.parent


def call(*command, cwd):
    """Output of a command without this checkout on its path."""
    env = {name: value for name, value in devices(**CACHE).items() if name != "PYTHONPATH"}
    env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=env, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the sdist of what git would hand on."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("vp_jax", "configs", "convert"):
        shutil.copytree(
            ROOT / name, folder / "tree" / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "tree")
    backend = "import setuptools.build_meta as backend; print(backend.build_{}('../out'))"
    sdist = call(sys.executable, "-c", backend.format("sdist"), cwd=folder / "tree").split()[-1]
    known = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on
    shutil.unpack_archive(folder / "out" / sdist, folder, **known)
    unpacked = folder / sdist.removesuffix(".tar.gz")
    return folder / "out" / call(sys.executable, "-c", backend.format("wheel"), cwd=unpacked).split()[-1]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder of programs of a new environment that holds the wheel; dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "dependencies.pth").write_text("\n".join(ours) + "\n")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    call(*pip, "install", "--no-deps", "--no-index", "--ignore-installed", "--quiet", wheel, cwd=folder)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_holds_programs_settings_and_nano_and_one_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        f"vp_jax/{prefix}{path.relative_to(folder)}"
        for folder, prefix in ((ROOT / "vp_jax", ""), (ROOT / "configs", "configs/"), (ROOT / "convert", "convert/"))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == wanted
    assert {name.split("/")[0] for name in held} == {"vp_jax"}


@pytest.mark.slow
def test_the_command_works_in_an_empty_folder(installed, tmp_path):
    out = call(installed / "vp-jax", "--help", cwd=tmp_path)
    assert all(f"\n  {name} " in out for name in COMMANDS)
    where = call(installed / "python", "-c", "import vp_jax; print(vp_jax.__file__)", cwd=tmp_path)
    assert str(installed.parent) in where and str(ROOT) not in where
    read = "import importlib.metadata, vp_jax; print(vp_jax.__version__, importlib.metadata.version('vp_jax'))"
    assert set(call(installed / "python", "-c", read, cwd=tmp_path).split()) == {vp_jax.__version__}
    assert "usage: vp-jax convert" in call(installed / "vp-jax", "convert", "--help", cwd=tmp_path)
    assert "usage: vp-jax convert" in call(installed / "python", "-m", "vp_jax", "convert", "--help", cwd=tmp_path)
    assert all(name in call(installed / "vp-jax", "train", "--help", cwd=tmp_path) for name in names())
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_it_samples_and_trains_in_an_empty_folder(installed, tmp_path):
    out = call(installed / "vp-jax", "sample", "--steps", "1", cwd=tmp_path)
    assert "done     nano_out/nano_report.html" in out
    assert (tmp_path / "nano_out" / "nano.mp4").stat().st_size > 1000
    settings = ("--workdir", "run", "--config.steps=1")
    out = call(installed / "vp-jax", "train", "--config", "tiny", *settings, cwd=tmp_path)
    assert "step 1: model written to run/export" in out
    assert (tmp_path / "run" / "export" / "branch" / "config.json").is_file()


def test_the_tested_versions_are_allowed_ones_and_complete():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for text in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        wanted = Requirement(text)
        assert tested[canonicalize_name(wanted.name)] in wanted.specifier, text


@pytest.mark.slow
def test_sampling_imports_nothing_that_only_training_needs():
    code = (
        "import sys, vp_jax.inference.pipeline, vp_jax.jobs.packaged, vp_jax.jobs.report, vp_jax.cli.sample\n"
        "heavy = {'grain', 'tensorflow_datasets', 'ml_collections', 'apache_beam', 'torch', 'matplotlib', 'scipy',\n"
        "         'jax.experimental.pallas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
