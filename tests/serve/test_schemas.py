"""Requests are read strictly."""

import pytest
from pydantic import ValidationError

from tests.serve.drawn import JOB
from vp_jax.serve.schemas import JobRequest, MaskRequest, RedoRequest

BOX = {"x": 1, "y": 2.5, "width": 3, "height": 4}


@pytest.mark.parametrize(
    "values",
    [
        {"video": "../../etc/passwd"},
        {"video": JOB + "\n"},
        {"video": JOB, "seed": "7"},
        {"video": JOB, "seed": True},
        {"video": JOB, "seed": -1},
        {"video": JOB, "steps": 1.5},
        {"video": JOB, "steps": 0},
        {"video": JOB, "guidance": float("nan")},
        {"video": JOB, "guidance": float("inf")},
        {"video": JOB, "task": "paint"},
        {"video": JOB, "out": "/tmp/x"},
        {"video": JOB, "checkpoint": "/tmp/x"},
        {"video": JOB, "prompt": "x" * 2001},
        {"video": JOB, "extend": "16:9; rm"},
    ],
)
def test_a_job_of_wrong_values_or_unknown_fields_is_refused(values):
    with pytest.raises(ValidationError):
        JobRequest.model_validate(values)


@pytest.mark.parametrize("change", [{"width": 0}, {"x": float("nan")}, {"frame": -1}, {"thing": 0}, {"thing": 256}])
def test_a_box_without_area_or_out_of_range_is_refused(change):
    assert MaskRequest.model_validate({"video": JOB, "boxes": [BOX]}).boxes[0].y == 2.5
    with pytest.raises(ValidationError):
        MaskRequest.model_validate({"video": JOB, "boxes": [{**BOX, **change}]})


def test_windows_are_counted_from_one():
    assert RedoRequest.model_validate({"window": 1, "seed": 0}).prompt is None
    with pytest.raises(ValidationError):
        RedoRequest.model_validate({"window": 0, "seed": 0})
