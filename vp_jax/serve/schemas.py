"""What the API takes and gives, and what the server keeps on disk: the same models for both.

Requests are read strictly: no text where a number belongs, no unknown field, no NaN.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from vp_jax import __version__

ID = r"^[A-Za-z0-9_-]{16}$"
Token = Annotated[str, StringConstraints(pattern=ID, min_length=16, max_length=16)]
"""A random name that the server gave."""
_Place = Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
_Length = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]
_Whole = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
"""JSON knows one kind of number: 1.0 is an integer."""
_Frame = Annotated[int, Field(ge=0, le=10_000_000), _Whole]
_Thing = Annotated[int, Field(ge=1, le=255), _Whole]
_Words = Annotated[str, StringConstraints(max_length=2000)]
_Seed = Annotated[int, Field(ge=0, le=2**31 - 1), _Whole]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ErrorReply(_Strict):
    """Why a request was refused, in one line."""

    error: str


class SessionRequest(_Strict):
    """The server's token, for a cookie."""

    token: Annotated[str, StringConstraints(max_length=300)]


class BoxMark(_Strict):
    """A box around the thing, in pixels of the frame; x and y of its upper left corner."""

    x: _Place
    y: _Place
    width: _Length
    height: _Length
    frame: _Frame = 0
    thing: _Thing = 1


class PointMark(_Strict):
    """A point on the thing, or with ``inside`` false one that is not part of it."""

    x: _Place
    y: _Place
    inside: bool = True
    frame: _Frame = 0
    thing: _Thing = 1


class Marks(_Strict):
    """What names the things that are masked: boxes, points, or words."""

    boxes: Annotated[list[BoxMark], Field(max_length=100)] = []
    points: Annotated[list[PointMark], Field(max_length=1000)] = []
    words: Annotated[str, StringConstraints(max_length=200)] | None = None


class MaskRequest(Marks):
    """Marks on a video."""

    video: Token


class JobRequest(_Strict):
    """What is done with a video; a setting that is not given is the model's own."""

    video: Token
    mask: Token | None = None
    task: Literal["fill", "remove"] = "fill"
    prompt: _Words | None = None
    negative_prompt: _Words | None = None
    first_frame: Literal["model", "original", "fill"] = "model"
    steps: Annotated[int, Field(ge=1, le=1000), _Whole] | None = None
    guidance: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    seed: _Seed | None = None
    clip_weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    mask_dilate: Annotated[int, Field(ge=0, le=1000), _Whole] | None = None
    invert_mask: bool = False
    feather: Annotated[int, Field(ge=0, le=100), _Whole] = 0
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    extend: Annotated[str, StringConstraints(pattern=r"^[0-9:, ]{1,40}$", max_length=40)] | None = None
    format: Literal["mp4", "mkv", "webm"] = "mp4"


class PlanRequest(_Strict):
    """An edit in one sentence, such as ``make the dog a fox``."""

    instruction: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    caption: _Words | None = None


class PlanReply(BaseModel):
    """What was understood of an instruction: the target to mark, and fields of a job, to be changed at will."""

    operation: str
    target: str
    task: Literal["fill", "remove"]
    prompt: str | None
    negative_prompt: str | None
    notes: list[str]


class RedoRequest(_Strict):
    """One window of a finished job to be made anew, with another seed, another prompt or both."""

    window: Annotated[int, Field(ge=1, le=1_000_000), _Whole]
    seed: _Seed | None = None
    prompt: _Words | None = None


class VideoState(BaseModel):
    """A video that was uploaded."""

    kind: Literal["video"] = "video"
    id: Token
    made: float
    name: str
    bytes: int = 0
    state: Literal["waiting", "preparing", "ready", "failed"] = "waiting"
    frames: int = 0
    prepared: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    has_sound: bool = False
    suggestion: str | None = None
    error: str | None = None


class MaskState(BaseModel):
    """A mask: tracked from marks, or uploaded."""

    kind: Literal["mask"] = "mask"
    id: Token
    made: float
    video: Token
    marks: Marks = Marks()
    uploaded: bool = False
    version: int = 1
    state: Literal["waiting", "tracking", "ready", "failed", "cancelled"] = "waiting"
    frames: int = 0
    tracked: int = 0
    lost: list[tuple[int, int]] = []
    share: float = 0.0
    notes: list[str] = []
    odd_frames: list[int] = []
    error: str | None = None


class WindowState(BaseModel):
    """One window of a job: its frames, and whether it is finished."""

    first: int
    frames: int


class JobState(BaseModel):
    """A job: what was asked, how far it is, and what came of it."""

    kind: Literal["job"] = "job"
    id: Token
    made: float
    request: JobRequest
    state: Literal["waiting", "running", "done", "failed", "cancelled"] = "waiting"
    version: int = 0
    redo: RedoRequest | None = None
    frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    windows: list[WindowState] = []
    steps: int = 0
    done: int = 0
    total: int = 0
    label: str = ""
    eta: float | None = None
    arrived: int = 0
    seconds: float | None = None
    seconds_per_step: float | None = None
    notes: list[str] = []
    error: str | None = None


class EstimateReply(BaseModel):
    """What a job will need, found without running it."""

    frames: int
    width: int
    height: int
    model_width: int
    model_height: int
    windows: int
    steps: int
    hole_share: float
    hole_frames: int
    memory: int
    memory_weights: int
    memory_at: str
    disk: int
    seconds: float | None
    notes: list[str]


class Everything(BaseModel):
    """All that the server holds."""

    videos: list[VideoState]
    masks: list[MaskState]
    jobs: list[JobState]


class Health(BaseModel):
    """Whether the server works, and what waits."""

    status: Literal["ok"] = "ok"
    version: str = __version__
    model: str
    note: str | None
    waiting: int
    running: int
    max_upload: int
    words: bool
