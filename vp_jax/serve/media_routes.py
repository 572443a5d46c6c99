"""Routes of videos and masks."""

from __future__ import annotations

import shutil
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from vp_jax.serve import places
from vp_jax.serve.desk import NotFound
from vp_jax.serve.routes import (
    COMES_AND_GOES,
    FILE_BODY,
    PICTURE,
    DeskOf,
    FrameInPath,
    IdInPath,
    images,
    receive,
    shelved,
    shown_name,
)
from vp_jax.serve.schemas import ID, Marks, MaskRequest, MaskState, VideoState
from vp_jax.serve.tasks import write_example

media_router = APIRouter(prefix="/api")


@media_router.post("/videos", status_code=201, openapi_extra=FILE_BODY)
async def upload_video(
    request: Request, desk: DeskOf, name: Annotated[str, Query(max_length=300, description="Shown to people.")] = ""
) -> VideoState:
    """Upload a video: the body is the file. Its pictures are ready when its state is."""
    token, folder = desk.new_folder("video")
    size = await receive(request, folder, places.VIDEO, desk.options.max_upload)
    return desk.add_video(token, shown_name(name), size)


@media_router.post("/videos/example", status_code=201)
async def add_example(desk: DeskOf) -> VideoState:
    """The clip that comes with the package, with a prompt for it."""
    token, folder = desk.new_folder("video")
    prompt = await run_in_threadpool(write_example, folder / places.VIDEO)
    return desk.add_video(token, "Example clip", (folder / places.VIDEO).stat().st_size, prompt)


@media_router.get("/videos/{id}")
async def video(id: IdInPath, desk: DeskOf) -> VideoState:
    """A video's state."""
    return desk.video(id)


@media_router.delete("/videos/{id}", status_code=204)
async def remove_video(id: IdInPath, desk: DeskOf) -> Response:
    """Forget a video and its masks; jobs keep what they use of it."""
    desk.remove(desk.video(id))
    return Response(status_code=204)


@media_router.get("/videos/{id}/frames/{number}", responses=images("image/jpeg"), **PICTURE)
async def video_frame(id: IdInPath, number: FrameInPath, desk: DeskOf) -> Response:
    """A frame, at most 960 pixels on its longer side."""
    return shelved(desk.folder_of(desk.video(id)) / places.FRAMES, number, "image/jpeg")


@media_router.post("/masks", status_code=201)
async def add_mask(body: MaskRequest, desk: DeskOf) -> MaskState:
    """Track what boxes, points or words name through a video."""
    return desk.add_mask(body.video, Marks(boxes=body.boxes, points=body.points, words=body.words))


@media_router.post("/masks/upload", status_code=201, openapi_extra=FILE_BODY)
async def upload_mask(
    request: Request, desk: DeskOf, video: Annotated[str, Query(pattern=ID, min_length=16, max_length=16)]
) -> MaskState:
    """Upload a mask: a video as long as the other, or one picture for all frames. White marks what is generated."""
    desk.check_ready(video)
    token, folder = desk.new_folder("mask")
    await receive(request, folder, places.UPLOAD, desk.options.max_upload)
    try:
        return desk.add_mask_file(token, video)
    except Exception:  # the video went meanwhile
        shutil.rmtree(folder, ignore_errors=True)
        raise


@media_router.get("/masks/{id}")
async def mask(id: IdInPath, desk: DeskOf) -> MaskState:
    """A mask's state: how far it is tracked, where the thing was lost, what is odd about it."""
    return desk.mask(id)


@media_router.put("/masks/{id}")
async def change_mask(id: IdInPath, body: Marks, desk: DeskOf) -> MaskState:
    """Track again with these marks in place of the former: more points on any frame, for instance."""
    return desk.change_marks(id, body)


@media_router.post("/masks/{id}/cancel", status_code=202)
async def cancel_mask(id: IdInPath, desk: DeskOf) -> MaskState:
    """Stop tracking."""
    desk.cancel(desk.mask(id))
    return desk.mask(id)


@media_router.delete("/masks/{id}", status_code=204)
async def remove_mask(id: IdInPath, desk: DeskOf) -> Response:
    """Forget a mask; jobs keep what they use of it."""
    desk.remove(desk.mask(id))
    return Response(status_code=204)


@media_router.get("/masks/{id}/frames/{number}", responses={**images("image/png"), **COMES_AND_GOES}, **PICTURE)
async def mask_frame(id: IdInPath, number: FrameInPath, desk: DeskOf) -> Response:
    """The mask of a frame, to be drawn over it: transparent where nothing is masked."""
    return shelved(desk.folder_of(desk.mask(id)) / places.OVERLAY, number, "image/png", passing=True)


@media_router.get("/masks/{id}/sheet", responses=images("image/png"), response_class=FileResponse)
async def mask_sheet(id: IdInPath, desk: DeskOf) -> FileResponse:
    """Six frames with the mask outlined and hatched, the odd ones among them."""
    return _file_of(desk, id, places.SHEET, "image/png")


@media_router.get("/masks/{id}/file", responses=images("video/x-matroska"), response_class=FileResponse)
async def mask_video(id: IdInPath, desk: DeskOf) -> FileResponse:
    """The mask as a lossless video, white where it masks."""
    return _file_of(desk, id, places.MASK, "video/x-matroska")


def _file_of(desk: DeskOf, id: str, name: str, kind: str) -> FileResponse:
    file = desk.folder_of(desk.mask(id)) / name
    if desk.mask(id).state != "ready" or not file.is_file():
        raise NotFound("the mask is not ready")
    return FileResponse(file, media_type=kind, headers={"cache-control": "no-cache"})
