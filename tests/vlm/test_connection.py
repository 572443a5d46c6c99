"""What a text names, and that naming it imports and contacts nothing."""

import subprocess
import sys

import pytest

from vp_jax.errors import UserError
from vp_jax.vlm import connect
from vp_jax.vlm.endpoint import Endpoint
from vp_jax.vlm.local import LocalVlm


def test_addresses_are_endpoints_and_folders_are_local_models(tmp_path):
    assert isinstance(connect("https://a.example/v1"), Endpoint)
    assert isinstance(connect(f"local:{tmp_path}"), LocalVlm) and connect("local:org/name").name == "org/name"


@pytest.mark.parametrize("text", ["", "gpt-4o", "ftp://a/v1", "file:///etc/passwd", "local:", "local:/no/such/folder"])
def test_anything_else_is_one_line(text):
    with pytest.raises(UserError, match=r"expected .*local:FOLDER_OR_ID|no such folder"):
        connect(text)


def test_a_connection_imports_no_model_and_no_jax():
    code = (
        "import sys; from vp_jax.vlm import connect; connect('local:a/b'); connect('http://a.example/v1');"
        "print([m for m in ('torch', 'transformers', 'jax', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
