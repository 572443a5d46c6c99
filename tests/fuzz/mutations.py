"""Damage of every kind, drawn from a seeded generator: to bytes, JSON, text, and to what lies at a path."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator

DEEP, NAN, INFINITE = "@deep@", "@nan@", "@infinite@"
"""Stand for JSON that Python cannot write: replaced in the text."""

JSON_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 0.5, -0.0, 1e-300, 1e300, 10**9, 2**63, 10**30, NAN, INFINITE),
    *("", "text", "nan", "1", "\0", "../../x", "/dev/zero", "\x1b[31m", "\U0001f600", "x" * 5000),
    *([], [[]], {}, {"a": {}}, [None], [1, "a"], [1] * 3000, DEEP),
)

NUMBERS = (
    *("nan", "inf", "-inf", "1e23", "1e38", "1e-300", "-1", "-0", "0", "1", "2", "3", "5", "17", "0.5", "1.5", "1e9"),
    *("2147483648", "4294967295", "4294967296", "9223372036854775808", "1" + "0" * 30, "9" * 5000),
    *("", " ", "x", "0x10", "1_000", "\u0663", "\u00b2", "1,2", "true", "None", "--"),
)
"""Odd values of numeric flags and settings."""

PLAIN_NUMBERS = (
    *("-1", "0", "1", "2", "3", "4", "5", "7", "8", "9", "13", "16", "17", "31", "32", "48", "64", "96", "100", "255"),
    *(
        "1000",
        "1024",
        "4096",
        "8192",
        "65536",
        "1000000",
        "10000000",
        "2147483647",
        "4294967295",
        "0.5",
        "1.0",
        "0.001",
    ),
)
"""Values that a number can have, and that may be too large for what is done with it."""

TEXTS = (
    *("", " ", ".", "..", "/", "-", "~", "a\0b", "a\nb", "../../x", "x" * 300, "x" * 5000, "\udcff\udcfe", "\x1b[31m"),
    *("\U0001f600", "http://example.invalid/a.mp4", "gs://bucket/a", "/dev/null", "/dev/zero", "/proc/self/mem"),
    *("/proc/1/root", "a:b", "a=b", "%d", "name.gif", "name.xyz", "none", "</s><extra_id_0>", "\u202e", "auto"),
)
"""Values of flags and settings that are names or words; a worker can write nowhere but in its folder."""

PYTHON_NUMBERS: tuple[Any, ...] = (
    *(float("nan"), float("inf"), -1, 0, 1, 2, 16, 0.5, 1.5, 1e23, 1e38, 1e-300, 10**9, 10**30, -(10**30), True),
    *(np.float32(2.0), np.int64(16), np.nan),
)
"""Values of numeric arguments."""


def pick(rng: Rng, values: Any) -> Any:
    """One of ``values``, as it is."""
    return values[int(rng.integers(len(values)))]


def number(rng: Rng) -> str:
    """A value for a flag or setting that is a number."""
    return str(pick(rng, PLAIN_NUMBERS if rng.random() < 0.6 else NUMBERS))


def damaged_bytes(content: bytes, rng: Rng) -> bytes:
    """Cut, flip bits, splice, repeat, insert, or overwrite with numbers of all ones; the same bytes at most rarely."""
    data, size = bytearray(content or b"\0"), max(1, len(content))
    place, length = int(rng.integers(size)), int(rng.integers(1, 40))
    other = int(rng.integers(size))
    kind = int(rng.integers(9))
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for spot in rng.integers(len(data), size=int(rng.integers(1, 9))):
            data[spot] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        data[place : place + length] = rng.integers(0, 256, length, np.uint8).tobytes()
    elif kind == 3:
        del data[place : place + length]
    elif kind == 4:
        data[place:place] = bytes(data[other : other + 50 * length])
    elif kind == 5:
        data[place:place] = bytes(data[place : place + length]) * int(rng.integers(2, 200))
    elif kind == 6:
        data[place : place + 4] = pick(rng, (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80"))
    elif kind == 7:  # near the start, where headers are
        start = place % min(size, 200)
        data[start : start + 8] = pick(rng, (b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f" + b"\0" * 4))
    else:
        data[place:] = bytes(data[other:])
    return bytes(data)


def damaged_json(content: bytes, rng: Rng) -> bytes:
    """JSON with one to three values, names or elements replaced, removed, or given twice."""
    values = json.loads(content)
    for _ in range(int(rng.integers(1, 4))):
        values = _damaged(values, rng)
    text = json.dumps(values)
    if rng.random() < 0.05:
        text = text.replace("{", '{"a": 1, "a": 2, ', 1)
    return _written(text)


def _written(text: str) -> bytes:
    deep = "[" * 100_000 + "]" * 100_000
    text = text.replace(f'"{DEEP}"', deep).replace(f'"{NAN}"', "NaN").replace(f'"{INFINITE}"', "1e999")
    return text.encode("utf-8", "surrogatepass")


def _damaged(value: Any, rng: Rng) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = pick(rng, list(value))
        kind = rng.random()
        if kind < 0.1:
            return {key: inner for key, inner in value.items() if key != name}
        if kind < 0.2:
            return {**value, pick(rng, ("other", "", "../x", "\0", name + "x", name * 300)): pick(rng, JSON_VALUES)}
        return {**value, name: _damaged(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = int(rng.integers(len(value)))
        return [*value[:place], _damaged(value[place], rng), *value[place + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.3:
        return pick(rng, (-value, value + 1, value * 1000, value / 3, str(value), [value]))
    return pick(rng, JSON_VALUES)


def damaged_text(content: bytes, rng: Rng) -> bytes:
    """Text with a word replaced, a line repeated, removed or moved, another encoding, or NUL."""
    text = content.decode("utf-8", "replace")
    lines, kind = text.splitlines(keepends=True) or [""], int(rng.integers(8))
    place = int(rng.integers(len(lines)))
    if kind == 0:
        words = lines[place].replace(",", " , ").split(" ")
        words[int(rng.integers(len(words)))] = str(pick(rng, (*NUMBERS, *TEXTS)))
        lines[place] = " ".join(words)
    elif kind == 1:
        lines[place] *= 50
    elif kind == 2:
        del lines[place]
    elif kind == 3:
        lines.insert(0, lines.pop(place))
    elif kind == 4:
        return text.encode(pick(rng, ("utf-16", "utf-8-sig", "utf-32", "utf-7")))
    elif kind == 5:
        lines[place] = '"' + lines[place]
    elif kind == 6:
        lines[place] = lines[place].replace("a", pick(rng, ("\0", "\udcff", "\r", "\u2028", "," * 200)))
    else:
        lines[place] = "a" * 300_000
    return "".join(lines).encode("utf-8", "surrogateescape")


def damaged_safetensors(content: bytes, rng: Rng) -> bytes:
    """A safetensors file with another header, or other numbers in its tensors: NaN, infinity, the largest."""
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], bytearray(content[8 + size :])
    if rng.random() < 0.6:
        header = damaged_json(header, rng)
        claimed = size if rng.random() < 0.1 else len(header)
        return claimed.to_bytes(8, "little") + header + bytes(data)
    value = pick(rng, (np.nan, np.inf, -np.inf, np.float32(3e38), 0.0))
    place = 4 * int(rng.integers(max(1, len(data) // 4)))
    data[place : place + 4] = np.float32(value).tobytes()
    return content[: 8 + size] + bytes(data)


def replace_by_odd_thing(path: Path, rng: Rng) -> None:
    """Put something other than a file at ``path``: a pipe, a device, a folder, links in a circle, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    kind = int(rng.integers(8))
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to("/dev/zero")
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.symlink_to(path.name)
    elif kind == 4:
        path.symlink_to(path.parent)
    elif kind == 5:
        path.symlink_to("/proc/self/mem")
    elif kind == 6:
        path.write_bytes(b"")


def damage_file(path: Path, rng: Rng) -> None:
    """Damage what lies at ``path`` in one of the ways that suit its kind, or replace it."""
    if path.is_dir() or rng.random() < 0.1:
        replace_by_odd_thing(path, rng)
        return
    content, suits = path.read_bytes(), rng.random() < 0.65
    if path.suffix == ".json" and suits:
        content = damaged_json(content, rng)
    elif path.suffix == ".safetensors" and suits:
        content = damaged_safetensors(content, rng)
    elif path.suffix in (".txt", ".csv", ".py", ".jsonl") and suits:
        content = damaged_text(content, rng)
    else:
        content = damaged_bytes(content, rng)
    path.write_bytes(content)


def damage_one(folder: Path, rng: Rng, pattern: str = "**/*") -> None:
    """`damage_file` on one of the files of ``folder`` that match."""
    damage_file(pick(rng, sorted(path for path in folder.glob(pattern) if path.is_file())), rng)
