"""The pages: what they refer to exists, and what refers to them finds it."""

import json
import math
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.layout import ROOT, source_files

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor of a heading as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, section = unquote(target).partition("#")
        there = page.parent / file if file else page
        assert there.exists(), f"{name_of(page)}: {target}"
        if section:
            assert section in [anchor(heading) for heading in headings(there)], f"{name_of(page)}: {target}"


def test_every_section_that_code_refers_to_exists():
    sections = headings(ROOT / "docs" / "model.md")
    files = [*source_files(), *sorted((ROOT / "tests").rglob("*.py"))]
    texts = {file: re.sub(r"\s*\n\s*", " ", file.read_text()) for file in files}
    named = [(file, name) for file, text in texts.items() for name in re.findall(r'docs/model\.md, "([^"]+)"', text)]
    assert len(named) >= 8
    assert [f"{name_of(file)}: {name}" for file, name in named if name not in sections] == []


def test_paths_in_backticks_exist():
    """`vp_jax/models/dit.py` in a page is a file; a name alone (`dit.py`) is not checked."""
    for page in PAGES:
        for path in re.findall(r"`((?:vp_jax|convert|configs|tests|bench|docs|examples)/[\w./-]*)`", page.read_text()):
            assert (ROOT / path).exists(), f"{name_of(page)}: {path}"


def test_a_reader_can_follow_the_readme_in_one_sitting():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_sizes_of_the_published_files_are_those_of_their_manifests():
    parts = (
        "cogvideox_5b_i2v_transformer",
        "cogvideox_vae",
        "t5_v1_1_xxl_encoder",
        "videopainter_branch_i2v",
        "videopainter_id_adapter",
    )
    gigabytes = {}
    for part in parts:
        tensors = json.loads((ROOT / "tests" / "manifests" / f"{part}.json").read_text())["tensors"]
        # T5 stores its table under two names
        values = sum(math.prod(shape) for name, shape in tensors.items() if name != "encoder.embed_tokens.weight")
        gigabytes[part] = 2 * values / 1e9
    readme = " ".join((ROOT / "README.md").read_text().split())
    backbone, vae, text, branch, adapter = (f"{size:.1f}" for size in gigabytes.values())
    assert f"{backbone} + {vae} + {text} GB" in readme and f"{branch} + {adapter} GB" in readme
    total = sum(gigabytes.values())
    assert f"take {total:.1f} GB in bfloat16, {total - gigabytes['t5_v1_1_xxl_encoder']:.1f} GB without" in readme
