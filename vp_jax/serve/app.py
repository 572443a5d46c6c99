"""The application: routes, errors as one line of JSON, the page's files, and the life of the workers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib import resources

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vp_jax import __version__
from vp_jax.errors import UserError
from vp_jax.jobs import packaged
from vp_jax.serve import job_routes, media_routes
from vp_jax.serve.desk import WORDS, Conflict, Desk, NotFound, ServerOptions
from vp_jax.serve.guard import COOKIE, Guard, same, session_of
from vp_jax.serve.metrics import RequestCounter
from vp_jax.serve.routes import ERRORS, DeskOf, server
from vp_jax.serve.schemas import Everything, Health, SessionRequest

_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_TYPES |= {".js": "text/javascript; charset=utf-8"}
_PAGE = {
    file.name: (file.read_bytes(), _TYPES["." + file.name.rpartition(".")[2]])
    for file in (resources.files("vp_jax.serve") / "page").iterdir()
    if "." + file.name.rpartition(".")[2] in _TYPES
}
"""The files of the page, read once: no request names a file."""


def create_app(options: ServerOptions) -> FastAPI:
    """The server as an ASGI application.

    Args:
      options: how it works; its folder exists.
    """
    desk = Desk(options)

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        desk.open()
        yield
        await desk.close()

    app = FastAPI(
        title="vp_jax",
        version=__version__,
        description="Video inpainting: upload a video, mark a thing, say what to do, watch the windows arrive.",
        lifespan=life,
        docs_url=None,  # both load scripts from other servers
        redoc_url=None,
        responses=ERRORS,
    )
    app.state.desk = desk
    app.include_router(server)
    app.include_router(media_routes.media_router)
    app.include_router(job_routes.job_router)
    _answer_errors(app)
    app.add_middleware(RequestCounter, counters=desk.counters)
    app.add_middleware(Guard, token=options.token, most_upload=options.max_upload)
    return app


def _answer_errors(app: FastAPI) -> None:
    """Every error is one line of JSON."""

    def answer(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": text}, status, headers)

    @app.exception_handler(UserError)
    async def user(request: Request, error: UserError) -> JSONResponse:
        return answer(422, str(error))

    @app.exception_handler(NotFound)
    async def missing(request: Request, error: NotFound) -> JSONResponse:
        return answer(404, str(error))

    @app.exception_handler(Conflict)
    async def conflict(request: Request, error: Conflict) -> JSONResponse:
        return answer(409, str(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return answer(422, f"{place or first['loc'][0]}: {first['msg']}")


@server.get("/", response_class=Response, include_in_schema=False)
async def index_page() -> Response:
    """The page."""
    return await page_file("index.html")


@server.get("/page/{name}", response_class=Response, include_in_schema=False)
async def page_file(name: str) -> Response:
    """A file of the page."""
    if name not in _PAGE:
        raise NotFound("there is no such file")
    content, kind = _PAGE[name]
    return Response(content, media_type=kind, headers={"cache-control": "no-cache"})


@server.get("/healthz")
async def health(desk: DeskOf) -> Health:
    """Whether the server works."""
    nano = desk.options.checkpoint == "nano"
    return Health(
        model="nano" if nano else desk.options.checkpoint.rstrip("/").rpartition("/")[2],
        note=packaged.NOTE.partition(";")[0] if nano else None,
        waiting=desk.device.waiting,
        running=int(desk.device.current is not None),
        max_upload=desk.options.max_upload,
        words=desk.options.backend in WORDS,
    )


@server.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(desk: DeskOf) -> Response:
    """Numbers for Prometheus."""
    return Response(desk.metrics(), media_type="text/plain; version=0.0.4")


@server.post("/api/session", status_code=204)
async def session(body: SessionRequest, desk: DeskOf) -> Response:
    """Exchange the token for a cookie, for pictures and downloads of the page."""
    token = desk.options.token
    if token is None:
        return Response(status_code=204)
    if not same(body.token, token):
        raise HTTPException(401, "this is not the server's token")
    response = Response(status_code=204)
    response.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", max_age=30 * 24 * 3600)
    return response


@server.get("/api/state")
async def everything(desk: DeskOf) -> Everything:
    """All videos, masks and jobs, the oldest first."""
    return desk.everything()
