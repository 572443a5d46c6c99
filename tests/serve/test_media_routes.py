"""Routes of videos and masks."""

import io

import numpy as np
from PIL import Image

from tests.serve.drawn import GONE, disc_film, picture


def test_a_video_is_uploaded_and_seen_frame_by_frame(served):
    client, video, *_ = served
    found = client.get(f"/api/videos/{video}").json()
    assert (found["name"], found["frames"], found["width"], found["height"], found["fps"]) == (
        "a film.mp4",
        6,
        64,
        48,
        8,
    )
    answer = client.get(f"/api/videos/{video}/frames/5")
    shown_HWC = np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)
    assert answer.headers["content-type"] == "image/jpeg" and "immutable" in answer.headers["cache-control"]
    assert np.abs(shown_HWC - disc_film()[5]).mean() < 6
    assert client.get(f"/api/videos/{video}/frames/6").status_code == 404
    assert client.get(f"/api/videos/{video}/frames/-1").status_code == 422


def test_the_name_of_a_file_is_shown_and_never_a_path(served):
    client, video, *_ = served
    for name, shown in (
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\a.mp4", "a.mp4"),
        ("\x1b[2J\n", "[2J"),
        ("", "video"),
        ("ü" * 200, "ü" * 120),
    ):
        found = client.post("/api/videos", params={"name": name}, content=b"no video").json()
        assert found["name"] == shown
        failed = client.until(f"/api/videos/{found['id']}", "failed", "ready")
        assert failed["state"] == "failed" and "video" in failed["error"] and "/tmp" not in failed["error"]
        assert client.delete(f"/api/videos/{found['id']}").status_code == 204


def test_an_upload_over_the_limit_or_without_content_leaves_nothing(served):
    client = served[0]
    count = len(client.get("/api/state").json()["videos"])

    def chunks():  # without a length: counted while it comes
        yield from [bytes(1 << 16)] * 17

    assert client.post("/api/videos", content=chunks()).status_code == 413
    assert client.post("/api/videos", content=bytes((1 << 20) + 1)).status_code == 413
    answer = client.post("/api/videos", content=b"")
    assert answer.status_code == 422 and "the file is empty" in answer.json()["error"]
    assert len(client.get("/api/state").json()["videos"]) == count


def test_a_tracked_mask_is_drawn_over_the_video(served):
    client, _, mask, _ = served
    found = client.get(f"/api/masks/{mask}").json()
    assert (found["state"], found["tracked"], found["notes"]) == ("ready", 6, [])
    answer = client.get(f"/api/masks/{mask}/frames/3")
    alpha_HW = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))[..., 3]
    truth_HW = disc_film()[3, ..., 0] > 200
    assert answer.headers["content-type"] == "image/png"
    assert ((alpha_HW > 0) & truth_HW).sum() / ((alpha_HW > 0) | truth_HW).sum() > 0.7
    assert client.get(f"/api/masks/{mask}/sheet").headers["content-type"] == "image/png"
    assert client.get(f"/api/masks/{mask}/file").content.startswith(b"\x1aE\xdf\xa3")


def test_a_mask_is_corrected_on_another_frame(served):
    client, video, *_ = served
    mask = client.post("/api/masks", json={"video": video, "points": [{"x": 18, "y": 26}]}).json()
    marks = {
        "points": [{"x": 18, "y": 26}, {"x": 27, "y": 26, "frame": 3}, {"x": 5, "y": 5, "inside": False, "frame": 3}]
    }
    changed = client.put(f"/api/masks/{mask['id']}", json=marks).json()
    assert changed["version"] == 2 and len(changed["marks"]["points"]) == 3
    found = client.until(f"/api/masks/{mask['id']}", "ready", "failed")
    assert (found["state"], found["version"]) == ("ready", 2)
    bad = client.put(f"/api/masks/{mask['id']}", json={"points": [{"x": 100, "y": 5}]})
    assert bad.status_code == 200
    failed = client.until(f"/api/masks/{mask['id']}", "ready", "failed")
    assert failed["state"] == "failed" and "outside the frame of 64x48" in failed["error"]
    assert client.get(f"/api/masks/{mask['id']}/file").status_code == 404
    assert client.delete(f"/api/masks/{mask['id']}").status_code == 204
    assert client.get(f"/api/masks/{mask['id']}").status_code == 404


def test_a_mask_is_uploaded(served):
    client, video, *_ = served
    assert client.post(f"/api/masks/upload?video={GONE}", content=picture()).status_code == 404
    mask = client.post(f"/api/masks/upload?video={video}", content=picture()).json()
    found = client.until(f"/api/masks/{mask['id']}", "ready", "failed")
    assert found["uploaded"] and found["state"] == "ready" and round(found["share"], 3) == round(400 / 48 / 64, 3)
    assert client.put(f"/api/masks/{mask['id']}", json={"points": [{"x": 1, "y": 1}]}).status_code == 409
    assert client.post(f"/api/masks/{mask['id']}/cancel").status_code == 409


def test_the_example_is_a_video_with_a_prompt(served):
    client = served[0]
    found = client.post("/api/videos/example").json()
    assert "square" in found["suggestion"]
    assert client.until(f"/api/videos/{found['id']}", "ready", "failed")["frames"] == 17
    assert client.delete(f"/api/videos/{found['id']}").status_code == 204
