"""Titles in other encodings than UTF-8 are no reason to refuse a film, whichever PyAV is installed."""

from typing import Any

import av

ANY_TITLE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Arguments of ``av.open`` for reading; PyAV 19 always replaces what it cannot read, and has no such argument."""
