"""Summaries of scans: what is used, what is not, in numbers and by name."""

from dataclasses import dataclass

import pytest

from vp_jax.data.sources import scan
from vp_jax.data.sources.scan import Finding, Scan, Unusable, check_clips, first_reasons


@dataclass(frozen=True)
class Clip:
    """A clip that only has a name."""

    id: str
    origin: str = "here"


def check(clip: Clip) -> str:
    if clip.id.startswith("bad"):
        raise Unusable("mask not recognised", f"{clip.id} is bad")
    return "odd" if clip.id.startswith("odd") else ""


CLIPS = [Clip(name) for name in ("good", "bad1", "odd", "bad2")]


def test_clips_that_pass_are_kept_in_order_and_the_others_named():
    used, findings = check_clips(CLIPS, check)
    assert [clip.id for clip in used] == ["good", "odd"]
    assert findings == [
        Finding("bad1", "here", "bad1 is bad", "mask not recognised"),
        Finding("odd", "here", "odd"),
        Finding("bad2", "here", "bad2 is bad", "mask not recognised"),
    ]


def test_long_tables_are_not_opened(monkeypatch):
    monkeypatch.setattr(scan, "MOST_OPENED", 3)
    assert check_clips(CLIPS, check) == (tuple(CLIPS), [])


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        check_clips(CLIPS, lambda clip: str(1 // 0))


@pytest.mark.parametrize(
    "kinds, strays, summary",
    [
        ([], 0, "2 videos: 2 used"),
        (["without mask"], 0, "3 videos: 2 used, 1 without mask"),
        (["mask not recognised"] * 2 + ["without caption"], 0,
         "5 videos: 2 used, 2 masks not recognised, 1 without caption"),
        (["too short"] * 2, 1, "4 videos: 2 used, 2 too short; 1 other file"),
        (["mask of another size"] * 2, 2, "4 videos: 2 used, 2 masks of another size; 2 other files"),
    ],
)  # fmt: skip
def test_the_summary_counts_every_reason(kinds, strays, summary):
    findings = [Finding(str(number), "", "why", kind) for number, kind in enumerate(kinds)]
    others = (Finding("x", "", "y", "other file"),) * strays
    found = Scan(tuple(CLIPS[:2]), (*findings, Finding("odd", "", "a remark")), "folder", "videos", others)
    assert found.summary == found.report.summary == summary
    assert len(found.report.left_out) == len(kinds) + strays and len(found.report.remarks) == 1
    assert found.report.place == "folder" and found[1].id == "bad1" and len(found) == 2


def test_one_of_a_kind_is_in_the_singular():
    assert Scan((CLIPS[0],), (), "t.csv", "rows").summary == "1 row: 1 used"


def test_errors_show_the_first_reasons():
    findings = [Finding(f"clip{number}", "", "why", "without mask") for number in range(5)]
    assert first_reasons([*findings, Finding("used", "", "odd")]) == "clip0: why; clip1: why; clip2: why; and 2 more"
    assert first_reasons([]) == ""


def test_reasons_are_one_line_whatever_the_names_hold():
    shown = first_reasons([Finding("a\nb\x1b[31m", "x", "no such file: " + "c\n" * 900, "not readable")])
    assert shown.isprintable() and len(shown) < 800 and r"a\nb\x1b[31m" in shown
