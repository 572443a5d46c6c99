"""Routes of jobs: an estimate before, the queue, events, one window anew, results."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from vp_jax.edit.instruction import OTHER_WAYS, parse_instruction
from vp_jax.edit.rules import plan_by_rules
from vp_jax.errors import UserError
from vp_jax.serve import places
from vp_jax.serve.desk import Desk, NotFound
from vp_jax.serve.routes import COMES_AND_GOES, PICTURE, DeskOf, FrameInPath, IdInPath, images, shelved
from vp_jax.serve.schemas import (
    ID,
    EstimateReply,
    JobRequest,
    JobState,
    MaskState,
    PlanReply,
    PlanRequest,
    RedoRequest,
    VideoState,
)

job_router = APIRouter(prefix="/api")

_KINDS = {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm", ".png": "image/png"}
_KINDS |= {".json": "application/json", ".html": "text/html"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {kind: {} for kind in _KINDS.values()}},
    206: {"description": "A part of the file.", "content": {kind: {} for kind in _KINDS.values()}},
    416: {"description": "The file has no such part.", "content": {"text/plain": {}}},
}
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
"""The report is a page of its own; it may run its script and reach nothing."""


@job_router.post("/plans")
async def add_plan(body: PlanRequest) -> PlanReply:
    """Understand an instruction, by rules: what to mark, and a job's words. Nothing is kept."""
    try:
        found = plan_by_rules(body.instruction, parse_instruction(body.instruction), body.caption)
    except UserError as error:
        raise UserError(str(error).removesuffix(OTHER_WAYS)) from error
    return PlanReply(
        operation=found.operation,
        target=found.target,
        task=found.task,
        prompt=found.caption,
        negative_prompt=found.negative_prompt,
        notes=list(found.notes),
    )


@job_router.post("/estimates")
async def add_estimate(body: JobRequest, desk: DeskOf) -> EstimateReply:
    """What a job would need: windows, memory, disk, time; and what is odd about its mask. Nothing is kept."""
    return EstimateReply.model_validate(await desk.estimate(body))


@job_router.post("/jobs", status_code=201)
async def add_job(body: JobRequest, desk: DeskOf) -> JobState:
    """Put a job in the queue."""
    return desk.add_job(body)


@job_router.get("/jobs/{id}")
async def job(id: IdInPath, desk: DeskOf) -> JobState:
    """A job's state: how far it is, seconds left, windows, what of the source reached the result."""
    return desk.job(id)


@job_router.post("/jobs/{id}/cancel", status_code=202)
async def cancel_job(id: IdInPath, desk: DeskOf) -> JobState:
    """Stop a job, or take it out of the queue; what it has done is kept."""
    desk.cancel(desk.job(id))
    return desk.job(id)


@job_router.post("/jobs/{id}/resume", status_code=202)
async def resume_job(id: IdInPath, desk: DeskOf) -> JobState:
    """Put a cancelled or failed job in the queue again; it goes on where it was."""
    return desk.resume(id)


@job_router.post("/jobs/{id}/redo", status_code=202)
async def redo_window(id: IdInPath, body: RedoRequest, desk: DeskOf) -> JobState:
    """Make one window of a finished job anew; those that continue it follow. The result stays until it is done."""
    return desk.redo(id, body)


@job_router.delete("/jobs/{id}", status_code=204)
async def remove_job(id: IdInPath, desk: DeskOf) -> Response:
    """Forget a job that is not at work, and its results."""
    desk.remove(desk.job(id))
    return Response(status_code=204)


@job_router.get("/jobs/{id}/files/{name}", responses=_FILES, response_class=FileResponse)
async def job_file(
    id: IdInPath, name: Literal["result", "comparison", "contact", "record", "report"], desk: DeskOf
) -> FileResponse:
    """A file of a finished job, in parts if asked for: result, comparison, contact sheet, record or report."""
    state = desk.job(id)
    file = places.result_files(desk.folder_of(state), state.request.format)[name]
    if not state.version or not file.is_file():
        raise NotFound("the job has no result yet")
    headers = {"cache-control": "no-cache"}
    if name == "report":
        headers["content-security-policy"] = _REPORT_POLICY
        return FileResponse(file, media_type="text/html", headers=headers)
    shown = f"{_stem(desk, state)}_{name}{file.suffix}"
    return FileResponse(file, media_type=_KINDS[file.suffix], filename=shown, headers=headers)


@job_router.get("/jobs/{id}/{layer}/{number}", responses={**images("image/jpeg"), **COMES_AND_GOES}, **PICTURE)
async def job_frame(
    id: IdInPath, layer: Literal["source", "frames", "arriving"], number: FrameInPath, desk: DeskOf
) -> Response:
    """A frame of the source, of the finished result, or of what is decoded so far and not pasted yet."""
    names = {"source": places.SOURCE, "frames": places.FRAMES, "arriving": places.ARRIVING}
    return shelved(desk.folder_of(desk.job(id)) / names[layer], number, "image/jpeg", passing=layer == "arriving")


@job_router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"description": "An event stream without end.", "content": {"text/event-stream": {}}}},
)
async def events(
    desk: DeskOf,
    of: Annotated[str | None, Query(pattern=ID, min_length=16, max_length=16, description="One object only.")] = None,
) -> StreamingResponse:
    """States as they change: events `video`, `mask`, `job` with the complete state, and `removed`."""
    found = desk.everything()
    states: list[VideoState | MaskState | JobState] = [*found.videos, *found.masks, *found.jobs]
    first = [(state.id, state.kind, state) for state in states]
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(desk.hub.listen(first, of), media_type="text/event-stream", headers=headers)


def _stem(desk: Desk, state: JobState) -> str:
    """What a download is named after."""
    video = desk.videos.get(state.request.video)
    name = video.name if video else "video"
    return name.rpartition(".")[0] or name
