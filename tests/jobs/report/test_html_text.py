"""What people and files supply is text, never HTML."""

from pathlib import Path

import pytest

from vp_jax.jobs.report import html_text


def test_text_is_escaped_in_every_part():
    bad = "<script>\"'&\x1b"
    for made in (
        html_text.safe(bad),
        html_text.items([bad]),
        html_text.facts({bad: bad}),
        html_text.html_table([bad], [[bad]], "look"),
        html_text.columns({bad: ""}),
        html_text.link(Path("/a") / bad, Path("/a/page.html"), bad),
    ):
        assert ("<script>" not in made and "\x1b" not in made and "&lt;script&gt;" in made) or "%3Cscript%3E" in made


@pytest.mark.parametrize(
    "file, address",
    [
        ("/a/out.mp4", "./out.mp4"),
        ("/b/c d.mp4", "./../b/c%20d.mp4"),
        ('/a/"quoted".mp4', "./%22quoted%22.mp4"),
        ("/a/javascript:alert(1).mp4", "./javascript%3Aalert%281%29.mp4"),
        ("/a/50%.mp4", "./50%25.mp4"),
    ],
)
def test_links_are_relative_and_are_never_taken_for_a_scheme(file, address):
    assert html_text.link(Path(file), Path("/a/page.html"), "it") == f'<a href="{address}">it</a>'


def test_no_text_ends_a_block_of_json():
    block = html_text.json_block({"prompt": "</script><script>alert(1)"})
    assert block.count("<") == 2 and "\\u003c/script>" in block
