"""An edit of the packaged clip through a local endpoint that speaks the real protocol, in one command.

    python -m tests.vlm.fake_edit                         its replies are fixed: a red circle for the square
    python -m tests.vlm.fake_edit --dry_run               plan and mask alone
    python -m tests.vlm.fake_edit --out out.mp4 --seed 7

Arguments go to ``vp-jax edit``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from tests.vlm.fake_server import FakeServer, Handler, fake_server
from vp_jax.cli.main import run
from vp_jax.cli.program import run_cli

INSTRUCTION = "give me something round and red there"
"""Beyond the grammar: a model is needed."""
UNDERSTOOD = {
    "possible": True,
    "operation": "swap",
    "target": "the square",
    "original_caption": "a yellow spotted square pulses over brown dots",
    "box": None,
}
WRITTEN = {
    "caption": "a red circle pulses over brown dots",
    "region_caption": "a red circle",
    "negative_prompt": "square",
}


def answer(handler: Handler) -> None:
    """The reply that the schema of a question asks for."""
    form = handler.server.requests[-1].body["response_format"]["json_schema"]["schema"]
    reply = UNDERSTOOD if "operation" in form["properties"] else WRITTEN
    handler.completion(json.dumps(reply))


def edit_through(server: FakeServer, argv: Sequence[str]) -> int:
    """``vp-jax edit`` with ``argv``, planned by ``server``."""
    return run(["edit", "--instruction", INSTRUCTION, "--vlm", server.url, *argv])


if __name__ == "__main__":
    with fake_server(answer) as server:
        run_cli(lambda: edit_through(server, sys.argv[1:]), sigterm=True)
