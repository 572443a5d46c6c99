"""A server in this process with a real worker for media; a video, its mask, and a job that was finished before."""

import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.clip_files import encode
from tests.serve.drawn import disc_film, finished_job
from vp_jax.serve.app import create_app
from vp_jax.serve.desk import ServerOptions


class Client(TestClient):
    """Requests of a page or a program on this machine."""

    def until(self, path: str, *states: str) -> dict:
        """The state of an object once it is in one of ``states``."""
        for _ in range(600):
            found = self.get(path).json()
            if found["state"] in states:
                return found
            time.sleep(0.05)
        raise AssertionError(found)


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Path:
    """A disc that moves before a plain background, 6 frames of 48 x 64."""
    return encode(tmp_path_factory.mktemp("film") / "a film.mp4", disc_film(), fps=8)


@pytest.fixture(scope="session")
def served(tmp_path_factory, film):
    """A client of a server, ids of a video, a mask and a finished job."""
    folder = tmp_path_factory.mktemp("server")
    job = finished_job(folder, film)
    app = create_app(ServerOptions(folder, max_upload=1 << 20))
    with Client(app, base_url="http://localhost:8000") as client:
        video = client.post("/api/videos?name=a+film.mp4", content=film.read_bytes()).json()["id"]
        client.until(f"/api/videos/{video}", "ready", "failed")
        marks = {"boxes": [{"x": 6, "y": 14, "width": 24, "height": 24}]}
        mask = client.post("/api/masks", json={"video": video, **marks}).json()["id"]
        client.until(f"/api/masks/{mask}", "ready", "failed")
        yield client, video, mask, job
