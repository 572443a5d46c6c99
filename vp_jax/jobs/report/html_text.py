"""Parts of HTML from text that people or files supply: everything is escaped here, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from vp_jax.errors import escaped


def safe(words: object) -> str:
    """Text for HTML, in elements and in quoted attributes; control characters become visible."""
    return html.escape(escaped(str(words)))


def tag(name: str, inner: str, look: str = "") -> str:
    """An element around HTML."""
    shown = f' class="{look}"' if look else ""
    return f"<{name}{shown}>{inner}</{name}>"


def items(lines: Iterable[object], look: str = "") -> str:
    """A list of lines of text."""
    return tag("ul", "".join(tag("li", safe(line)) for line in lines), look)


def facts(rows: Mapping[str, object]) -> str:
    """A table of names and values."""
    cells = "".join(f"<tr><td>{safe(name)}</td><td>{safe(value)}</td></tr>" for name, value in rows.items())
    return tag("table", cells, "facts")


def html_table(heads: Sequence[str], rows: Iterable[Sequence[object]], look: str) -> str:
    """A table under heads."""
    top = tag("tr", "".join(tag("th", safe(head)) for head in heads))
    body = "".join(tag("tr", "".join(tag("td", safe(cell)) for cell in row)) for row in rows)
    return tag("table", top + body, look)


def columns(sections: Mapping[str, str]) -> str:
    """Sections of HTML, each below its heading, next to each other where there is room."""
    parts = (tag("section", tag("h3", safe(heading)) + inner) for heading, inner in sections.items())
    return tag("div", "".join(parts), "columns")


def link(file: Path, page: Path, words: str) -> str:
    """A link to a file, relative to the page, so that a folder can be moved as one."""
    try:
        way = os.path.relpath(file.absolute(), page.absolute().parent)
    except ValueError:  # another drive
        return safe(words)
    return f'<a href="{safe(address(way))}">{safe(words)}</a>'


def address(way: str) -> str:
    """A relative path as an address; no name is taken for a scheme such as ``javascript:``."""
    return "./" + quote(os.fsencode(way.replace(os.sep, "/")), safe="/")


def inline(content: bytes, kind: str) -> str:
    """Bytes as an address of their own."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def document(title: str, style: str, body: str, data: object, script: str, *, policy: str) -> str:
    """A complete page that runs its own script alone.

    Args:
      title: of the window, as text.
      style: its rules.
      body: of its main part, as HTML.
      data: what the script reads, see `json_block`.
      script: its text; the page allows no other.
      policy: content security policy of all but scripts.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}; script-src \'sha256-{digest}\'">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>{style}</style></head><body><main>{body}</main>"
        f"{json_block(data)}<script>{script}</script></body></html>\n"
    )


def json_block(value: object) -> str:
    """JSON that no text in it can end."""
    shown = json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{shown}</script>'
