"""The page of a run."""

from vp_jax.jobs import report


def test_page_escapes_what_people_wrote(tmp_path):
    for name in ("a.mp4", "a.png"):
        (tmp_path / name).write_bytes(b"x")
    page = report.page(
        title="<t>",
        lead="&",
        prompt="",
        comparison=tmp_path / "a.mp4",
        contact=tmp_path / "a.png",
        numbers=[],
        lists={"<h>": ["<i>"]},
        tables={"T": {"<n>": "<v>"}},
        commands=["a < b"],
    )
    for bad in ("<t>", "<h>", "<i>", "<n>", "<v>", "a < b"):
        assert bad not in page
