"""Where a result comes from: the commit of this code and the versions of what shapes a result."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a result, and the kind of device."""
    import jax  # takes seconds: mistakes on the command line are reported before

    packages = ("jax", "jaxlib", "flax", "numpy", "av", "pillow")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found, "device": jax.devices()[0].device_kind}


def commit() -> str:
    """Git commit of this checkout, with "+" appended if tracked files differ from it; "" outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except OSError:  # git is not installed
        return ""
