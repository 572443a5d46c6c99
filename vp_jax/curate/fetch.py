"""Files from addresses: retried, continued where they broke off, not faster than allowed, with their digest."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vp_jax.curate.store import TryAgain
from vp_jax.errors import UserError
from vp_jax.reading import show

_AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which another try may succeed."""
_lock = threading.Lock()
_last: dict[str, float] = {}
"""When each host was last asked by this process."""


@dataclass(frozen=True)
class FetchRules:
    """How addresses are read.

    Attributes:
      tries: for each file.
      wait: seconds before the second try, doubled for each further one.
      per_second: requests to one host that a worker makes per second, at most.
      timeout: seconds without an answer.
      most_bytes: of one file.
    """

    tries: int = 5
    wait: float = 2.0
    per_second: float = 2.0
    timeout: float = 60.0
    most_bytes: int = 8 << 30


def fetch(address: str, file: Path, rules: FetchRules) -> None:
    """Load an address into ``file``, behind what is there already.

    Raises:
      UserError: the address is wrong, or the file too large.
      TryAgain: the network, or the server, failed as often as is tried.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for number in range(rules.tries):
        if number:
            time.sleep(rules.wait * 2 ** (number - 1))
        try:
            return _load(address, file, rules)
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
            if error.code == 416:  # nothing behind what is there: it is another file than before
                file.unlink(missing_ok=True)
            elif error.code not in _AGAIN:
                raise UserError(f"{show(address)}: the server answers {reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
    raise TryAgain(f"{show(address)}: not loaded after {rules.tries} tries ({show(reason)}); run again")


def _load(address: str, file: Path, rules: FetchRules) -> None:
    _wait_for(urllib.parse.urlsplit(address).netloc, rules.per_second)
    there = file.stat().st_size if file.exists() else 0
    headers: Mapping[str, str] = {"User-Agent": "vp_jax", **({"Range": f"bytes={there}-"} if there else {})}
    request = urllib.request.Request(address, headers=dict(headers))
    with urllib.request.urlopen(request, timeout=rules.timeout) as answer:
        goes_on = answer.status == 206
        with file.open("ab" if goes_on else "wb") as out:
            expected = int(answer.headers.get("Content-Length") or -1)
            written = _copy(answer, out, rules.most_bytes - (there if goes_on else 0), address)
    if 0 <= expected != written:
        raise OSError(f"breaks off after {written:,} of {expected:,} bytes")


def _copy(answer: IO[bytes], out: IO[bytes], most: int, address: str) -> int:
    written = 0
    while part := answer.read(1 << 20):
        out.write(part)
        written += len(part)
        if written > most:
            raise UserError(f"{show(address)}: larger than {most:,} bytes")
    return written


def _wait_for(host: str, per_second: float) -> None:
    """Wait until the host may be asked again."""
    with _lock:
        now = time.monotonic()
        at = max(now, _last.get(host, now - 1 / per_second) + 1 / per_second)
        _last[host] = at
    time.sleep(at - now)
