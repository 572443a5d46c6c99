"""An OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp, LM Studio, OpenAI ...) with the standard library alone.

``GET /models`` once, if no model is named, then ``POST /chat/completions`` with pictures as data URLs. Redirects are
not followed, and a server of this machine is reached without a proxy: the key and the pictures go to the address that
was given and to no other.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

from PIL import Image

from vp_jax.errors import UserError, escaped
from vp_jax.reading import parse_json, show
from vp_jax.vlm.protocol import Frame, Limits, ask_until_valid, pictures_of
from vp_jax.vlm.reply import BadReply

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same question is asked again."""
LONGEST_PAUSE = 30.0
"""Seconds of the longest pause between two attempts, also where a server asks for more."""
_HERE = ("localhost", "127.0.0.1", "::1")


class _Passing(Exception):
    """A failure that may pass; ``after``: seconds that the server asks to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class _Refused(Exception):
    """An HTTP status that will not pass."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Endpoint:
    """A model behind ``URL/chat/completions``.

    Args:
      url: ``http://HOST:PORT/v1``, with ``#MODEL`` behind it where the server has several.
      key: sent as bearer token to this address; never printed, stored or logged. Empty: none.
      usual_key: in its place if ``key`` is empty, but only over https or to this machine: nobody chose it for this
        address.
      limits: of time, size and attempts.
      sleep: waits between two attempts; tests give their own.

    Raises:
      UserError: an address that holds a password, a query, or no host.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        usual_key: str = "",
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            parts = urlsplit(url)
            self._host = parts.hostname or ""
            _ = parts.port
        except ValueError as error:
            raise UserError(f"vlm {show(url)}: not an address ({error})") from error
        if parts.username is not None or parts.password is not None:
            raise UserError(
                "vlm: the address holds a user name; give the key in VP_JAX_VLM_KEY, addresses are recorded"
            )
        if not self._host or parts.query or not url.isprintable() or " " in url:
            raise UserError(f"vlm {show(url)}: expected http://HOST:PORT/v1, or http://HOST:PORT/v1#MODEL")
        self._base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        self._model, self._limits, self._sleep = unquote(parts.fragment), limits or Limits(), sleep
        here = self._host in _HERE
        self._key = key or (usual_key if here or parts.scheme == "https" else "")
        if not self._key.isascii() or not self._key.isprintable():
            raise UserError("vlm: the key in the environment holds characters that no key has")
        proxies = [urllib.request.ProxyHandler({})] if here else []
        self._opener = urllib.request.build_opener(_NoRedirect, *proxies)
        self._knows_schemas = True

    def __repr__(self) -> str:
        return f"Endpoint({self._base!r})"

    @property
    def name(self) -> str:
        """The model's name; the server is asked for it once, if the address has none."""
        if not self._model:
            self._model = self._only_model()
        return self._model

    def ask(
        self, prompt: str, images: Sequence[Frame] = (), schema: dict[str, Any] | None = None
    ) -> dict[str, Any] | str:
        """See `vp_jax.vlm.protocol.Vlm.ask`."""
        urls = [_data_url(picture) for picture in pictures_of(images, self._limits)]

        def say(question: str) -> str:
            return _text_of(self._chat(_message(question, urls), schema))

        return ask_until_valid(say, prompt, schema, self._limits.attempts, self._base)

    def _chat(self, message: dict[str, Any], schema: dict[str, Any] | None) -> dict[str, Any]:
        values: dict[str, Any] = {"model": self.name, "messages": [message], "stream": False}
        if schema is not None and self._knows_schemas:
            form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
            try:
                return self._request("/chat/completions", {**values, "response_format": form})
            except _Refused as error:
                if error.status not in (400, 422):
                    self._stop(error)
                self._knows_schemas = False  # many servers do not; the question asks for JSON in words as well
        try:
            return self._request("/chat/completions", values)
        except _Refused as error:
            self._stop(error)

    def _only_model(self) -> str:
        try:
            found = self._request("/models")
        except (_Refused, BadReply) as error:
            raise UserError(f"{self._base}/models: {error}; name the model, {self._base}#MODEL") from error
        data = found.get("data")
        names = [item["id"] for item in data if _is_model(item)] if isinstance(data, list) else []
        if len(names) != 1:
            shown = ", ".join(show(name) for name in names[:10]) or "none"
            raise UserError(f"{self._base} offers the models {shown}: name one, {self._base}#MODEL")
        return str(names[0])

    def _request(self, path: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request until it is answered; a failure that may pass is tried again after a pause."""
        reason = ""
        for attempt in range(self._limits.attempts):
            try:
                return self._once(path, values)
            except _Passing as error:
                reason, pause = str(error), max(error.after, self._limits.pause * 2**attempt)
            if attempt + 1 < self._limits.attempts:
                self._sleep(min(pause, LONGEST_PAUSE))
        raise UserError(f"{self._base}: {reason}, in {self._limits.attempts} attempts; is the server running?")

    def _once(self, path: str, values: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        body = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self._base + path, data=body, headers=headers)
        end = time.monotonic() + self._limits.seconds
        try:
            with self._opener.open(request, timeout=self._limits.seconds) as response:
                data = self._read(response, end)
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(error, end)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            words = "no reply" if isinstance(reason, TimeoutError) else f"{type(reason).__name__}: {reason}"
            raise _Passing(self._shown(words)) from error
        try:
            return parse_json(data, "the server's reply", "a chat completion")
        except UserError as error:
            raise _Passing(self._shown(str(error))) from error

    def _read(self, response: Any, end: float) -> bytes:
        """The body, within the limits of size and time."""
        parts, size = [], 0
        while part := response.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > self._limits.reply_bytes:
                raise BadReply(f"it is larger than {self._limits.reply_bytes} bytes")
            if time.monotonic() > end:
                raise TimeoutError
        return b"".join(parts)

    def _refuse(self, error: urllib.error.HTTPError, end: float) -> NoReturn:
        try:
            text = self._read(error, end).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException, BadReply):
            text = ""
        reason = f"HTTP {error.code} {self._shown(' '.join(text.split()))}".strip()
        if error.code in PASSING:
            raise _Passing(reason, _seconds(error.headers.get("Retry-After")))
        if 300 <= error.code < 400:
            reason = f"HTTP {error.code}: it redirects, which is not followed; give the address that it leads to"
        raise _Refused(error.code, reason)

    def _shown(self, text: str) -> str:
        """What a server said, for a message: without our key, in one short line."""
        text = escaped(text.replace(self._key, "***") if self._key else text)
        return text if len(text) <= 200 else f"{text[:200]}..."

    def _stop(self, error: _Refused) -> NoReturn:
        key = ", see the key in VP_JAX_VLM_KEY" if error.status in (401, 403) else ""
        raise UserError(f"{self._base}: {error}{key}") from error


def _message(question: str, urls: Sequence[str]) -> dict[str, Any]:
    if not urls:
        return {"role": "user", "content": question}
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [{"type": "text", "text": question}, *pictures]}


def _data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _text_of(completion: dict[str, Any]) -> str:
    """The text of a chat completion.

    Raises:
      BadReply: it has none, was cut off, or the model refused.
    """
    try:
        choice = completion["choices"][0]
        text, refusal = choice["message"].get("content"), choice["message"].get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadReply("it is no chat completion: choices[0].message is missing") from error
    if refusal:
        raise BadReply(f"the model refused: {str(refusal)[:200]}")
    if choice.get("finish_reason") == "length":
        raise BadReply("it was cut off at the server's limit of tokens")
    if not isinstance(text, str):
        raise BadReply("it holds no text")
    return text


def _is_model(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str)


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:  # a date
        return 0.0
