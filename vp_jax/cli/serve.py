"""Start the HTTP API and the page: upload a video, mark a thing, say what to do, watch the windows arrive.

    vp-jax serve                                        on this machine, with the packaged nano model
    vp-jax serve --checkpoint weights                   with converted weights
    vp-jax serve --host 0.0.0.0 --port 80               for others; the address has a token, made unless given

Videos, masks, jobs and results lie in --folder. A server that is stopped or killed goes on with its queue when it
starts again. Without --host the server answers to this machine alone and needs no token. The token can also be given
as the environment variable VP_JAX_TOKEN. Jobs run one after another on one device.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
from pathlib import Path

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError
from vp_jax.files import locked
from vp_jax.reading import show


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: this machine alone")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 takes a free one")
    parser.add_argument("--token", help="what requests need; default: none on this machine, else a random one")
    parser.add_argument("--folder", type=Path, help="of videos and results; default: the user's data directory")
    parser.add_argument("--max_upload", type=int, default=2048, metavar="MB", help="default: 2048")
    parser.add_argument("--checkpoint", type=Path, help="folder of converted weights; default: the packaged nano model")
    parser.add_argument("--backend", default="grabcut", help="of masks, see vp-jax mask --help; default: grabcut")
    parser.add_argument("--weights", help="folder or hub id of the backend's weights")
    parser.add_argument("--sam2", help="folder or hub id of SAM 2, for the backend grounding_dino")


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    import uvicorn

    from vp_jax.serve import places
    from vp_jax.serve.app import create_app
    from vp_jax.serve.desk import ServerOptions
    from vp_jax.serve.guard import is_loopback

    _check(args)
    token = args.token or os.environ.get("VP_JAX_TOKEN") or None
    if token is None and not is_loopback(args.host):
        token = secrets.token_urlsafe(24)
    folder = (args.folder or places.default_home()).absolute()
    places.check_home(folder)
    with _listening(args.host, args.port) as listening:
        with locked(
            folder / places.LOCK_NAME, f"another server uses {show(folder)}: stop it, or give another --folder"
        ):
            backend = {name: getattr(args, name) for name in ("weights", "sam2") if getattr(args, name)}
            checkpoint = str(args.checkpoint.absolute()) if args.checkpoint else "nano"
            options = ServerOptions(folder, checkpoint, args.backend, token, args.max_upload << 20, backend)
            app = create_app(options)
            print(_address(args.host, listening.getsockname()[1], token), flush=True)
            print(f"files in {show(folder)}; Ctrl-C stops, unfinished jobs go on with the next start", flush=True)
            # uvloop would fork a worker, and the fork waits for ever for threads of FFmpeg that it does not have
            config = uvicorn.Config(
                app, loop="asyncio", log_config=None, timeout_graceful_shutdown=2, server_header=False
            )
            uvicorn.Server(config).run(sockets=[listening])


def _check(args: argparse.Namespace) -> None:
    from vp_jax.segment.backends import TRACKERS

    if args.backend not in TRACKERS:
        raise UserError(f"backend {args.backend!r}: expected one of {', '.join(TRACKERS)}")
    if args.max_upload < 1:
        raise UserError(f"--max_upload {args.max_upload}: expected 1 MB or more")
    if args.checkpoint is not None and not args.checkpoint.is_dir():
        raise UserError(f"--checkpoint {show(args.checkpoint)}: no such folder, expected one written by convert")
    if not 0 <= args.port <= 65535:
        raise UserError(f"--port {args.port}: expected 0 to 65535")
    if args.token is not None and len(args.token) < 8:
        raise UserError("--token: expected at least 8 characters")


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens, so that the address is known before it is printed."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise UserError(f"--host {host} --port {port}: {error.strerror or error}; choose another port") from error


def _address(host: str, port: int, token: str | None) -> str:
    """What to open in a browser; a token behind # is not sent in the request for the page."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"open http://{shown}:{port}/" + (f"#token={token}" if token else "")
