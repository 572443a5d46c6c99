"""What all routes share: the desk, ids in paths, errors in the schema, uploads and pictures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vp_jax.errors import UserError
from vp_jax.serve.desk import Desk, NotFound
from vp_jax.serve.schemas import ID, ErrorReply
from vp_jax.serve.shelf import read_shelf

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorReply, "description": "The body cannot be read."},
    401: {"model": ErrorReply, "description": "The token is missing or wrong."},
    403: {"model": ErrorReply, "description": "Sent by a page of another site."},
    404: {"model": ErrorReply, "description": "There is no such object."},
    409: {"model": ErrorReply, "description": "The object is not in a state in which that is possible."},
    413: {"model": ErrorReply, "description": "Too large."},
    422: {"model": ErrorReply, "description": "Bad input: what was given, what was expected."},
    507: {"model": ErrorReply, "description": "The disk is full."},
}
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}
"""OpenAPI of an upload."""
PICTURE: dict[str, Any] = {"response_class": Response}
_SPARE = 256 << 20
"""Bytes of the disk that uploads leave free."""

server = APIRouter()


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskOf = Annotated[Desk, Depends(_desk)]
IdInPath = Annotated[str, InPath(pattern=ID, min_length=16, max_length=16, description="An id that the server gave.")]
FrameInPath = Annotated[int, InPath(ge=0, le=10_000_000, description="Number of a frame, from 0.")]


def images(kind: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of an answer that is a picture."""
    return {200: {"description": "A picture.", "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


COMES_AND_GOES: dict[int | str, dict[str, Any]] = {204: {"description": "Not there yet, or no longer."}}
"""OpenAPI of what comes and goes while a page looks at it."""


def shelved(path: Path, number: int, kind: str, *, passing: bool = False) -> Response:
    """A picture of a shelf; it never changes under the address with its version. ``passing``: see `COMES_AND_GOES`."""
    content = read_shelf(path, number)
    if content is None and passing:
        return Response(status_code=204, headers={"cache-control": "no-store"})
    if content is None:
        raise NotFound(f"there is no frame {number}, or not yet")
    return Response(content, media_type=kind, headers={"cache-control": "private, max-age=86400, immutable"})


async def receive(request: Request, folder: Path, name: str, limit: int) -> int:
    """Stream the body of a request into a file of a new folder; its bytes. The folder goes if that fails.

    Raises:
      HTTPException: too large, cut off, or no room on the disk.
      UserError: nothing in it.
    """
    size = 0
    try:
        with open(folder / name, "xb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise HTTPException(413, f"too large: at most {limit >> 20} MB")
                if shutil.disk_usage(folder).free < _SPARE + len(chunk):
                    raise HTTPException(507, "the server's disk is full: remove videos or jobs that are done")
                await run_in_threadpool(file.write, chunk)
            file.flush()
            await run_in_threadpool(os.fsync, file.fileno())
        if not size:
            raise UserError("the file is empty: expected a video or a picture")
        return size
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, ClientDisconnect):
            raise HTTPException(400, "the upload was cut off") from error
        raise


def shown_name(name: str) -> str:
    """The name of an upload as people see it; it never names a file here."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in last if c.isprintable())[:120].strip()
    return kept or "video"
