"""The record in plain sentences."""

import pytest

from vp_jax.jobs.report.sentences import sentences, span

RECORD = {
    "frames": 331, "source_frames": 331, "source_size": [720, 1280], "model_size": [480, 720], "fps": "30000/1001",
    "windows": [0, 40, 80], "settings": {"window": 49, "overlap": 9, "steps": 50}, "arguments": {"composite": True},
    "mask": {"share": 0.042, "frames": 300, "note": "", "findings": []},
    "outside": {"frames": 331, "largest": 0.0, "psnr": None, "kind": ""},
    "carried": ["sound 1 (aac, eng): copied, 431 packets"], "lost": [],
    "continuity": {
        "seams": [{"frame": 40, "jump": 1.3}, {"frame": 80, "jump": 2.4}],
        "flicker": 4.21, "seam_jump": 1.8, "colour_drift": 3.04,
    },
    "seconds": {"read": 3.0, "inpaint": 240.0}, "memory": {"host_peak": 2_100_000_000, "device_peak": 30_500_000_000},
}  # fmt: skip


def said(**changes):
    """All sentences, and those that warn."""
    found = sentences({**RECORD, **changes})
    return [sentence.text for sentence in found], [sentence.text for sentence in found if sentence.warns]


def test_a_usual_job():
    texts, warnings = said()
    assert texts == [
        "Video: 331 frames of 1280 x 720 pixels, 29.97 per second.",
        "Size: the model works at 720 x 480; the video was stretched there and back, which changed its aspect by -16% "
        "meanwhile.",
        "Windows: 3 of 49 frames that share 9 frames, 50 steps each.",
        "Mask: 4.2 % of all pixels, in 300 of 331 frames.",
        "Mask check: nothing odd.",
        "Outside the mask: unchanged, checked on 331 frames.",
        "Sound 1 (aac, eng): copied, 431 packets.",
        "The seam at frame 40 jumps 1.3 times as far as the frames elsewhere.",
        "The seam at frame 80 jumps 2.4 times as far as the frames elsewhere.",
        "Change in the hole: 4.2 of 255 levels from frame to frame, on average.",
        "Colour of the hole: later windows are 3.0 levels away from the first, on average over windows.",
        "Time: 4 min, of which the model took 4 min, compilation included.",
        "Memory: at most 2.1 GB of the process and 30.5 GB of the device.",
    ]
    assert warnings == [texts[1], texts[8]]


@pytest.mark.parametrize(
    "changes, text, warns",
    [
        ({"carried": []}, "Sound: the source has none.", False),
        ({"carried": ["sound 1 (aac): lost, .gif holds pictures only"]},
         "Sound 1 (aac): lost, .gif holds pictures only.", True),
        ({"lost": ["format yuv420p10 becomes yuv420p"]}, "Format yuv420p10 becomes yuv420p.", True),
        ({"outside": None}, "Outside the mask: the source was pasted back; the written file was not compared with it.",
         False),
        ({"outside": {"frames": 1, "largest": 42.0, "psnr": 42.61, "kind": ""}},
         "Outside the mask: 42.6 dB from the source, largest difference 42 of 255, checked on 1 frame. This format is "
         "lossy; .mkv is not.", False),
        ({"arguments": {"composite": False}},
         "Outside the mask: the model's picture, nothing of the source was pasted back.", True),
        ({"frames": 49, "source_frames": 60}, "Reference mode dropped the tail: 49 of 60 frames.", True),
        ({"mask": {"share": 0.9, "frames": 5, "note": "", "findings": ["is it inverted?"]}},
         "Mask check: is it inverted?", True),
        ({"mask": {"share": 1.0, "frames": 331, "note": "", "findings": []}},
         "Mask: 100 % of all pixels, in 331 of 331 frames.", False),
        ({"continuity": {**RECORD["continuity"], "seams": []}}, "Seams: none, one window made all frames.", False),
        ({"continuity": {**RECORD["continuity"], "seams": [{"frame": 40, "jump": None}]}},
         "Seams: not measured, the hole is empty or stands still there.", False),
        ({"continuity": {**RECORD["continuity"], "seams": [{"frame": 8 * k, "jump": k / 4} for k in range(1, 8)]}},
         "Of 7 seams, the one at frame 56 jumps most: 1.8 times as far as the frames elsewhere; "
         "on average they jump 1.8 times.",
         False),
    ],
)  # fmt: skip
def test_other_jobs(changes, text, warns):
    texts, warnings = said(**changes)
    assert text in texts and (text in warnings) == warns


@pytest.mark.parametrize("seconds, text", [(0.26, "0.3 s"), (75, "75 s"), (240, "4 min"), (7300, "2 h 2 min")])
def test_spans_of_time(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    "fit, text",
    [
        ({"name": "letterbox", "box": [720, 1280], "boxes": 1}, "the video kept its aspect, its rim was repeated"),
        (
            {"name": "crop", "box": [480, 720], "boxes": 1},
            "it saw a crop of 720 x 480 pixels, and the result was pasted",
        ),
        ({"name": "crop", "box": [480, 720], "boxes": 9}, "a crop of 720 x 480 pixels, which follows the hole, and"),
    ],
)
def test_what_was_not_stretched_is_not_called_so(fit, text):
    texts, warnings = said(fit=fit)
    assert text in texts[1] and "stretched" not in texts[1] and texts[1] not in warnings
