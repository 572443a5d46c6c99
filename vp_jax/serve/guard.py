"""Who may speak to the server: the middleware in front of every route.

A server on this machine alone needs no token, but any page in the user's browser can send requests to it. So:

* ``Host`` has to name this machine (a hostile name that resolves to 127.0.0.1 does not: DNS rebinding);
* ``Origin``, where a browser sends it, has to be this server's own, and ``Sec-Fetch-Site`` not another site (CSRF).

With a token, every request to the API carries ``Authorization: Bearer TOKEN``, or the cookie that the page gets for it
from ``POST /api/session`` (HttpOnly, SameSite=Strict): pictures and downloads of a page cannot carry a header.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

COOKIE = "vp_jax_session"
OPEN_PATHS = ("/", "/healthz", "/api/session")
"""Paths that need no token beside the page's own files; ``/api/session`` checks it itself."""
MOST_BODY = 1 << 20
"""Bytes of a request that is no upload."""

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer that does not bring its own."""


def is_loopback(host: str) -> bool:
    """Whether an address or a ``Host`` header, with or without port, names this machine."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] == "[::1"
    return name in ("::1",) or name.partition(":")[0] in ("localhost", "127.0.0.1")


def session_of(token: str) -> str:
    """The value of the cookie that stands for a token."""
    return hmac.new(token.encode(), b"vp_jax session", hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


class Guard:
    """ASGI middleware.

    Args:
      app: what it stands in front of.
      token: that requests need; ``None`` for a server that only this machine reaches.
      most_upload: bytes of an upload.
    """

    def __init__(self, app: AsgiApp, *, token: str | None, most_upload: int) -> None:
        self._app, self._token, self._most_upload = app, token, most_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        fault = self._fault(scope, headers)
        if fault is not None:
            await _refuse(send, *fault)
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(n.encode(), v.encode()) for n, v in _HEADERS.items() if n.encode() not in present]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _fault(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and reason of a refusal."""
        host, path = headers.get("host", ""), scope["path"]
        if self._token is None and not is_loopback(host):
            return 403, "this server answers to localhost only; --host and --token open it to others"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "a page of another site sent this request"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path.startswith("/api/"):
            return 403, "a page of another site sent this request"
        if self._needs_token(path) and not self._known(headers):
            return 401, "expected the server's token: Authorization: Bearer TOKEN"
        length = headers.get("content-length", "0")
        upload = path == "/api/videos" or path == "/api/masks/upload"
        if "transfer-encoding" in headers and not upload:  # would be read into memory up to any size
            return 411, "expected a request with Content-Length; only uploads may come without"
        if not length.isdecimal() or int(length) > (self._most_upload if upload else MOST_BODY):
            return 413, f"too large: at most {(self._most_upload if upload else MOST_BODY) >> 20} MB"
        return None

    def _needs_token(self, path: str) -> bool:
        return self._token is not None and path not in OPEN_PATHS and not path.startswith("/page/")

    def _known(self, headers: Mapping[str, str]) -> bool:
        assert self._token is not None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), self._token):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and same(cookie.value, session_of(self._token))


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
