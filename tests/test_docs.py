"""The code in docs/library.md and the notebook run as they stand."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from tests import clip_files
from tests.children import CACHE, devices

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "library.ipynb"


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_library_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frames = clip_files.moving(30, 48, 64)
    clip_files.encode(Path("in.mp4"), frames, sound=True)
    hole = np.zeros((48, 64), np.uint8)
    hole[12:36, 16:48] = 255
    Image.fromarray(hole).save("mask.png")
    clip_files.encode(Path("mask.mp4"), np.broadcast_to(hole[None, ..., None], frames.shape).copy())
    code, names = blocks(ROOT / "docs" / "library.md"), {}
    assert len(code) >= 8
    for block in code:
        exec(compile(block, "docs/library.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "video is float64: expected uint8 with values 0 to 255, here 0.471 to 0.471; convert with" in printed
    assert printed.splitlines()[-1] == "Done"
    assert Path("out.mp4").stat().st_size > 1000 and Path("job.mkv").is_file()


@pytest.mark.slow
def test_the_notebook_runs_and_its_pictures_are_small(tmp_path, monkeypatch):
    stored = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(stored)
    assert NOTEBOOK.stat().st_size < 500_000
    for name, value in devices(**CACHE).items():
        monkeypatch.setenv(name, value)
    fresh = NotebookClient(nbformat.read(NOTEBOOK, as_version=4), resources={"metadata": {"path": str(tmp_path)}})
    done = fresh.execute()
    pictures = [
        [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})] for cell in done.cells
    ]
    assert sum(map(bool, pictures)) >= 3
    shown = [bool(pictures_of) for pictures_of in pictures]
    assert shown == [any("image/png" in o.get("data", {}) for o in cell.get("outputs", [])) for cell in stored.cells]
