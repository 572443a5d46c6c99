"""The page of a job: complete, escaped, and alone."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.jobs.report.test_sentences import RECORD
from vp_jax.jobs.report.clip import PageClip, Panel
from vp_jax.jobs.report.page import Drawn, PageWords, page

BAD = "<script>alert('x')</script>\"&"
PLACE = Path("/job/page.html")


def made(prompt="a fox", clip=True, **changes):
    """A page of two frames and two windows."""
    record = {
        **RECORD, "frames": 2, "windows": [0, 1], "seeds": [42, 7], "prompts": [prompt, "a cat"],
        "window_seconds": [3.0, 4.0], "versions": {"jax": "1"}, "source_size": [270, 480], **changes,
    }  # fmt: skip
    record["settings"] = {**record["settings"], "overlap": 1, "sampler": "dpm"}
    record["arguments"] = {**record["arguments"], "prompt": prompt, "video": Path(f"{prompt}.mp4")}
    record["continuity"] = {**record["continuity"], "change": [1.0, 2.0], "colour": [[1, 2, 3], None]}
    files = {"result": Path("/job") / f"{prompt}.mp4", "comparison": Path("/job/out_comparison.mp4")}
    held = PageClip(b"MP4 FILE", Panel(135, 240, 144, 0)) if clip else None
    drawn = Drawn(b"PNG", held, [(48, 27, 96, 54), None], 1)
    words = PageWords(prompt, prompt, prompt, [(prompt, prompt)], {prompt: [prompt]}, [prompt])
    return page(record, words, drawn, files, PLACE)


class Reader(HTMLParser):
    """Elements that were opened and closed, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.left_open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "img", "input"):
            self.left_open.append(tag)

    def handle_endtag(self, tag):
        assert self.left_open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("prompt", ["a fox", BAD])
@pytest.mark.parametrize("clip", [True, False])
def test_every_element_is_closed_and_the_scripts_are_those_of_the_page(prompt, clip):
    found = Reader(made(prompt, clip))
    assert found.left_open == [] and found.opened.count("script") == 2
    assert not any(name.startswith("on") for _, name, _ in found.attributes)
    assert prompt in found.text


def test_no_request_leaves_the_page():
    text = re.sub(r"data:[a-z0-9/]+;base64,[A-Za-z0-9+/=]*", "data:", made())
    assert "http:" not in text and "https:" not in text and "//" not in text and "@import" not in text
    assert not re.search(r"url\((?!data:)", text)
    found = Reader(made())
    loaded = [value for tag, name, value in found.attributes if name == "src"]
    assert len(loaded) == 2 and all(value.startswith("data:") for value in loaded)
    assert {value for tag, name, value in found.attributes if name == "href"} == {
        "./a%20fox.mp4",
        "./out_comparison.mp4",
    }


def test_the_content_policy_allows_its_own_script_and_no_network():
    text = made()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    script = re.search(r"<script>(.*?)</script></body>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1] and "http" not in policy


def test_video_and_boxes_of_the_hole_are_inside():
    text = made()
    source = dict(re.findall(r'src="data:([a-z0-9/]+);base64,([^"]+)"', text))
    assert base64.b64decode(source["video/mp4"]) == b"MP4 FILE" and base64.b64decode(source["image/png"]) == b"PNG"
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data["holes"] == [[24, 13.5, 48, 27], None] and (data["frames"], data["first"]) == (2, 1)
    assert data["panel"] == {"height": 135, "width": 240, "down": 144, "right": 0, "tiny": False}
    assert data["fps"] == pytest.approx(29.97, abs=0.001)


def test_a_long_video_is_shown_from_its_file():
    text = made(clip=False)
    assert '<video src="./out_comparison.mp4" controls' in text and "too long to be held by this page" in text
    assert "MP4" not in text and 'id="data">{}</script>' in text


def test_the_pixels_of_tiny_videos_alone_are_shown_as_squares():
    rules = re.findall(r"([^{}]+)\{[^{}]*pixelated", made())
    assert [rule.strip().startswith(".tiny ") for rule in rules] == [True]
    assert 'class="player"' in made() and 'class="player tiny"' not in made()


def test_settings_seeds_prompts_versions_and_curves_are_shown():
    text = Reader(made()).text
    for words in ("dpm", "jax", "a cat", "42", "Change from frame to frame in the hole", "Time of each window"):
        assert words in text
    assert "Outside the mask: unchanged, checked on 331 frames." in text and "Memory: at most 2.1 GB" in text
