"""Names of files and the one way to write them: complete in a hidden folder of ours, then moved into place.

    .vp_jax-HOST-PROCESS-START-k3x9/          a folder that no other run uses, in the folder of the file
    .vp_jax-HOST-PROCESS-START-k3x9/mine      says whose it is: host, process, and the names that are being written
    .vp_jax-HOST-PROCESS-START-k3x9/out.mp4   becomes out.mp4 once it is complete

What a killed process left is removed by the next one that writes the same name. Nothing else is ever removed: a folder
without our mark, or a link, is not ours. An empty folder is, if its name is of a process that is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from vp_jax.errors import UserError
from vp_jax.reading import read_json

_HIDDEN, _MARK = ".vp_jax-", "mine"
_NAME = re.compile(re.escape(_HIDDEN) + r"([0-9a-f]{8})-(\d+)-(\w+)-\w+")
"""Host, process and start of the process that made a hidden folder."""
_being_written: set[Path] = set()
"""Hidden folders of this process."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def beside(out: Path, end: str) -> Path:
    """``out.mp4`` and ``_mask.mkv`` -> ``out_mask.mkv``; a folder ``out`` gives the same."""
    return out.with_name((out.stem if out.suffix else out.name) + end)


def check_local(path: Path) -> None:
    """Check that ``path`` names a file or a folder of this machine; ``gs://x`` would make a folder ``gs:``.

    Raises:
      UserError: an address, standard output, a home folder that nobody has expanded, or a name that is not UTF-8 or
        that no file can have.
    """
    first = path.parts[0] if path.parts else ""
    if len(path.parts) > 1 and _SCHEME.fullmatch(first):
        rest = "/".join(path.parts[1:])
        raise UserError(f"{first}//{rest} is an address, expected a file or folder of this machine")
    if str(path) == "-":
        raise UserError("-: results are not written to standard output, expected a name such as out.mp4")
    if first == "~":
        raise UserError(f"{path}: ~ is not expanded here, give the complete path")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: the name is not UTF-8, choose another") from error
    if "\0" in str(path):
        raise UserError(f"{path}: no name holds NUL, choose another")


def check_writable(path: Path) -> None:
    """Check, before any work, that ``path`` can be written.

    Raises:
      UserError: no name or one that is too long, no place of this machine (see `check_local`), or a folder that cannot
        be created or written to.
    """
    check_local(path)
    _check_named(path)
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()
        parent = next(p for p in path.absolute().parents if p.exists())
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise UserError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"{path}: {parent} is not a folder that can be written to")


def _check_named(path: Path) -> None:
    """Refuse ``/``, ``.`` and ``..``: what would be replaced is a folder of somebody else."""
    if path.name in ("", ".."):
        raise UserError(f"{path}: names no file, expected one such as out.mp4, or a name for a folder of PNGs")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that writes the file or folder ``path``: yields a path of the same name, whose content becomes ``path``.

    Nothing of ``path`` changes before the end of the context, and nothing at all if it raises. Missing parent folders
    are created.

    Raises:
      UserError: the file cannot be written.
    """
    with replacing_all([path]) as (partial,):
        yield partial


@contextlib.contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """`replacing` for several files that belong together: none is replaced before all are complete.

    Files of one folder are written side by side. Within another such context its own partial files are written
    directly: they are hidden already.
    """
    for path in paths:
        _check_named(path)
    if all(path.parent in _being_written for path in paths):
        yield list(paths)
        return
    with contextlib.ExitStack() as stack:
        partials: list[Path] = []
        try:
            parents = dict.fromkeys(path.parent for path in paths)
            hidden = {
                parent: stack.enter_context(_hidden_folder(parent, [p.name for p in paths if p.parent == parent]))
                for parent in parents
            }
            partials += [hidden[path.parent] / path.name for path in paths]
            yield list(partials)
            for partial, path in zip(partials, paths):
                if partial.is_dir() and path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                os.replace(partial, path)
        except OSError as error:
            names = ", ".join(map(str, paths))
            raise UserError(f"{names}: cannot be written ({error.strerror or error})") from error
        except UserError as error:
            text = str(error.args[0]) if error.args else ""
            for partial, path in zip(partials, paths):
                text = text.replace(str(partial), str(path))
            raise UserError(text) from error


@contextlib.contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Context in which this process alone holds the lock file ``path``, which stays.

    Raises:
      UserError: ``busy``, if another process holds it; or the file cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path.parent}: {reason}; expected a folder that can be written to") from error
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(busy) from error
        yield
    finally:
        os.close(descriptor)


def clear_left_behind(folder: Path, names: Sequence[str] | None = None) -> None:
    """Remove what processes that are gone left in ``folder`` while they wrote ``names``; default: any name."""
    for hidden in folder.glob(f"{_HIDDEN}*"):
        if _left_behind(hidden, names):
            _take_away(hidden)


@contextlib.contextmanager
def _hidden_folder(parent: Path, names: Sequence[str]) -> Iterator[Path]:
    """A new hidden folder of ours in ``parent``, for files of these names; removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    clear_left_behind(parent, names)
    process = _this_process()
    named = f"{_HIDDEN}{_short(str(process['host']))}-{process['pid']}-{process['started']}-"
    folder = Path(tempfile.mkdtemp(prefix=named, dir=parent))
    try:
        (folder / _MARK).write_text(json.dumps({**process, "names": list(names)}))
        _being_written.add(folder)
        yield folder
    finally:
        _being_written.discard(folder)
        _take_away(folder)


def _take_away(folder: Path) -> None:
    """Remove a hidden folder of ours, the mark last: killed in the middle, the rest is still known to be ours."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _MARK:
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _left_behind(folder: Path, names: Sequence[str] | None) -> bool:
    """Whether a hidden folder is ours, for one of ``names``, and its process on this machine is gone."""
    if folder.is_symlink() or not folder.is_dir() or (folder / _MARK).is_symlink():
        return False
    try:
        if not any(folder.iterdir()):
            return _made_by_the_dead(folder.name)
        mark = read_json(folder / _MARK)
        process = {key: mark[key] for key in ("host", "pid", "started")}
        wanted = names is None or bool({*names} & {*mark["names"]})
        return bool(wanted and process["host"] == socket.gethostname() and not _alive(process))
    except (UserError, OSError, ValueError, KeyError, TypeError):
        return False


def _made_by_the_dead(name: str) -> bool:
    """Whether the name of an empty hidden folder is of a process that is gone: killed before it left its mark."""
    found = _NAME.fullmatch(name)
    if not found or found[1] != _short(socket.gethostname()):
        return False
    return not _alive({"pid": found[2], "started": found[3]})


def _short(host: str) -> str:
    return f"{zlib.crc32(host.encode()):08x}"


def _this_process() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _alive(process: Mapping[str, object]) -> bool:
    """Whether the process that left a mark still runs; its number may have been given to another since."""
    return _started(int(str(process["pid"]))) == process["started"]


def _started(pid: int) -> str:
    """When a process was started, in ticks since the machine was; "" if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _running(pid)
    return text.rpartition(")")[2].split()[19]


def _running(pid: int) -> str:
    """`_started` where there is no ``/proc``: known only to run, or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` write ``path``, all of it or nothing; see `replacing`."""
    with replacing(path) as partial:
        write(partial)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, all of it or nothing; see `replacing`."""
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def fresh_folder(folder: Path) -> None:
    """Make a hidden folder of a fixed name, which several processes can find, empty; `replace_parts` takes it away.

    What an earlier run left in it is removed.

    Raises:
      UserError: something of that name is not ours.
    """
    mark = folder / _MARK
    if os.path.lexists(folder):
        if folder.is_symlink() or not mark.is_file() or mark.is_symlink():
            raise UserError(f"{folder} stands where results are prepared, and no run made it: move it")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    mark.write_text(json.dumps(_this_process()))


def replace_parts(new: Path, folder: Path) -> None:
    """Move what is in ``new`` to ``folder``, over what has the same name; ``new`` is gone afterwards."""
    (new / _MARK).unlink(missing_ok=True)
    if not folder.exists():
        new.rename(folder)
        return
    for part in sorted(new.iterdir()):
        if part.is_dir() and (folder / part.name).exists():
            shutil.rmtree(folder / part.name)
        part.rename(folder / part.name)
    new.rmdir()
