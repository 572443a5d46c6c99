"""Routes of jobs, without a model: requests, results in parts, events."""

import pytest

from tests.serve.drawn import GONE


def test_a_finished_job_is_downloaded_in_parts(served, film):
    client, _, _, job = served
    content, path = film.read_bytes(), f"/api/jobs/{job}/files/result"
    answer = client.get(path)
    assert answer.content == content and answer.headers["content-type"] == "video/mp4"
    assert 'filename="video_result.mp4"' in answer.headers["content-disposition"]
    part = client.get(path, headers={"range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert client.get(path, headers={"range": "bytes=-7"}).content == content[-7:]
    assert client.get(path, headers={"range": f"bytes={len(content)}-"}).status_code == 416


def test_only_files_of_a_job_are_served_and_only_by_their_names(served):
    client, _, _, job = served
    assert client.get(f"/api/jobs/{job}/files/record").json() == {}
    report = client.get(f"/api/jobs/{job}/files/report")
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert client.get(f"/api/jobs/{job}/files/contact").status_code == 404
    for name in ("state.json", "..%2fstate.json", "%2e%2e", "video"):
        assert client.get(f"/api/jobs/{job}/files/{name}").status_code in (404, 422)


def test_frames_of_source_and_result(served):
    client, _, _, job = served
    for layer, number, status in (("source", 0, 200), ("frames", 0, 200), ("frames", 1, 404), ("arriving", 0, 204)):
        assert client.get(f"/api/jobs/{job}/{layer}/{number}").status_code == status, layer
    assert client.get(f"/api/jobs/{job}/videos/0").status_code == 422


def test_a_job_needs_a_mask_and_words(served):
    client, video, mask, _ = served
    for body, status, text in (
        ({"video": video, "prompt": "x"}, 422, "no mask"),
        ({"video": video, "mask": mask}, 422, "no prompt"),
        ({"video": video, "mask": mask, "prompt": "  "}, 422, "no prompt"),
        ({"video": GONE, "mask": mask, "prompt": "x"}, 404, "no video"),
        ({"video": video, "mask": GONE, "prompt": "x"}, 404, "no mask"),
    ):
        for path in ("/api/jobs", "/api/estimates"):
            answer = client.post(path, json=body)
            assert answer.status_code == status and text in answer.json()["error"], (path, body)


def test_a_redo_is_refused_where_there_is_nothing_to_redo(served):
    client, _, _, job = served
    for body, text in (({"window": 3, "seed": 1}, "windows 1 to 2"), ({"window": 1}, "nothing would change")):
        answer = client.post(f"/api/jobs/{job}/redo", json=body)
        assert answer.status_code == 422 and text in answer.json()["error"]
    assert client.post(f"/api/jobs/{job}/resume").status_code == 409
    assert client.post(f"/api/jobs/{job}/cancel").status_code == 409
    assert client.post(f"/api/jobs/{GONE}/redo", json={"window": 1, "seed": 1}).status_code == 404


@pytest.mark.slow
def test_an_estimate_says_what_a_job_needs(served):
    client, video, mask, _ = served
    body = {"video": video, "mask": mask, "prompt": "a disc", "steps": 4, "fit": "crop"}
    found = client.post("/api/estimates", json=body).json()
    assert (found["frames"], found["windows"], found["steps"]) == (6, 1, 4)
    assert found["seconds"] == 2.0  # as the job before took 0.5 a step
    assert found["memory"] > found["memory_weights"] > 1e7 and 0 < found["hole_share"] < 0.2
    answer = client.post("/api/estimates", json={**body, "first_frame": "original", "mask_dilate": 1000})
    assert answer.status_code == 422 and "server" not in answer.json()["error"]


def test_an_instruction_becomes_words_of_a_job(served):
    client = served[0]
    found = client.post("/api/plans", json={"instruction": "make the dog a fox"}).json()
    assert (found["operation"], found["task"], found["target"]) == ("swap", "fill", "the dog")
    assert found["prompt"] == "a fox"
    found = client.post("/api/plans", json={"instruction": "remove the red circle"}).json()
    assert (found["task"], found["target"], found["prompt"]) == ("remove", "the red circle", None)
    answer = client.post("/api/plans", json={"instruction": "why?"})
    assert answer.status_code == 422 and answer.json() == {"error": "instruction 'why?': it is a question"}
