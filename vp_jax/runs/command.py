"""Command lines with a config file: flags into their places, mistakes as one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import app, flags

from vp_jax.errors import UserError


def parse(argv: Sequence[str], config: Any, *, known_only: bool = False) -> list[str]:
    """Flags into their places; what is left over.

    Args:
      argv: program and arguments.
      config: the flag of the config file.
      known_only: leave unknown flags over as well.

    Raises:
      UserError: unknown flag or setting, wrong value, or a config file that cannot be used.
    """
    app.define_help_flags()
    try:
        rest = flags.FLAGS(argv, known_only=known_only)
        if config.value is not None:
            config.value.steps  # noqa: B018  a file that could not be read shows at the first use
        return rest
    except (flags.Error, AttributeError, KeyError, TypeError, ImportError, OSError, SyntaxError, ValueError) as error:
        text = " ".join(str(error).split())
        if isinstance(error, SyntaxError) or "has no attribute 'get_config'" in text:
            raise UserError(
                f"--config {getattr(error, 'filename', None) or ''}: expected a Python file with "
                f"get_config(), such as configs/tiny.py"
            ) from error
        if isinstance(error, AttributeError | KeyError):
            if text[:1] in ("'", '"'):  # quoted, as the text of a KeyError is
                text = text[1:-1].replace("\\n", " ").replace("\\'", "'")
            raise UserError(f"no setting {text}: configs/common.py lists all") from error
        if "parsing config file" in text:  # the flag holds a whole traceback; its last line is the file's own words
            text = str(error).strip().splitlines()[-1].partition(": ")[2]
            if "but 1 was given" in text:
                text = "this config file takes no name after a colon"
            elif "positional argument" in text:
                text = "the config file wants a name after a colon, such as configs/id_adapter.py:tpu_v4"
        raise UserError(text.replace("config_config", "").replace(" Attempted [Relative path]:", "")) from error
