"""Doors for the commands: every flag of every parser, and every setting, with odd values.

Flags come from the parsers themselves, so that a new one is fuzzed at once. Models are replaced where they would begin
to work; everything before and behind is real.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from safetensors.numpy import save_file

from tests import clip_files
from tests.fuzz.data_doors import clips
from tests.fuzz.doors import Stopped, door, nothing
from tests.fuzz.model_doors import GOLDEN, loras, tiny_models
from tests.fuzz.mutations import TEXTS, Rng, number, pick
from tests.fuzz.run_doors import training_run
from vp_jax.cli import settings
from vp_jax.cli.main import COMMANDS, parser_of, run
from vp_jax.world import vocabulary

Patch = tuple[str, Any]


def _stop(*args: Any, **kwargs: Any) -> Any:
    raise Stopped


def _flags(parser: argparse.ArgumentParser, rng: Rng, files: Sequence[str]) -> list[str]:
    """One to three arguments of a parser with odd values."""
    words: list[str] = []
    actions = [action for action in parser._actions if action.dest != "help"]
    for _ in range(int(rng.integers(1, 4))):
        action = pick(rng, actions)
        if isinstance(action, argparse._SubParsersAction) or "." in action.dest:
            continue
        if not action.option_strings and rng.random() < 0.9:  # what comes on top of the good ones is refused at once
            continue
        name = [pick(rng, action.option_strings)] if action.option_strings else []
        if action.nargs == 0:
            words += [*name, *(["x"] if rng.random() < 0.05 else [])]
            continue
        numeric = action.type in (int, float)
        value = number(rng) if numeric and rng.random() < 0.9 else pick(rng, (*TEXTS, *files))
        if action.choices and rng.random() < 0.7:
            value = pick(rng, list(action.choices))
        words += [f"{name[0]}={value}"] if name and rng.random() < 0.8 else [*name, str(value)]
    return words


def _setting(rng: Rng, name: str) -> str:
    """``--config.NAME=VALUE`` with an odd value for one of the settings of a file."""
    known = settings._flat(settings.config_from_file(name))
    key = pick(rng, sorted(known))
    value = pick(rng, TEXTS) if isinstance(known[key], str) and rng.random() < 0.7 else number(rng)
    key = key if rng.random() < 0.95 else pick(rng, ("", "model", "loader.x", "a\0b", key + ".x"))
    return f"--config.{key}={value}"


def _command(words: Sequence[str], patches: Sequence[Patch]) -> Callable[[], object]:
    def call() -> None:
        with contextlib.ExitStack() as stack:
            for name, value in patches:
                stack.enter_context(mock.patch(name, value))
            run(list(words))

    return call


def _empty_result(
    pipeline: Any, request: Any, prepared: Any, damaged: Any, spool: Any, drawing: Any, clock: Any
) -> Iterator[Any]:
    size = (request.plan.output_frames, *request.size, 3)
    if np.prod(size, dtype=float) > 10**7:
        raise Stopped
    spool.add(0, np.zeros(size, np.uint8))
    drawing.ready(size[0])
    yield from ()


def sampling(folder: Path) -> None:
    """A job of the tiny models."""
    tiny_models(folder)
    frames = clip_files.moving(8, 32, 48)
    holes = np.zeros_like(frames)
    holes[:, 8:20, 8:20] = 255
    clip_files.encode(folder / "in.mp4", frames)
    clip_files.encode(folder / "mask.mkv", holes, codec="ffv1")
    text = np.zeros((1, 3, 6), np.float32)
    np.savez(folder / "text.npz", prompt_embeds=text, negative_prompt_embeds=text)


@door("sample", sampling, share=4)
def _sample(folder: Path, rng: Rng) -> Callable[[], object]:
    files = ("in.mp4", "mask.mkv", "tiny", "style", "style:0.5", "style:nan", "style:1e38", "style:inf", "text.npz")
    good = ["--checkpoint", "tiny", "--video", "in.mp4", "--mask", "mask.mkv", "--prompt_embeds", "text.npz"]
    good += ["--out", pick(rng, ("out.mkv", "out", "out.gif")), "--compilation_cache", "off", "--window", "5"]
    words = ["sample", *good, *_flags(parser_of("sample"), rng, files)]
    return _command(words, [("vp_jax.jobs.run._inpaint", _empty_result)])


@door("train", nothing, share=3)
def _train(folder: Path, rng: Rng) -> Callable[[], object]:
    name = pick(rng, ("tiny", "tiny", "tiny", "id_adapter:tiny", "nano_autoencoder", "nano_backbone"))
    words = ["train", "--config", name, "--workdir", "run", "--config.compilation_cache="]
    words += [_setting(rng, name) for _ in range(int(rng.integers(1, 3)))]
    if rng.random() < 0.2:
        words += _flags(parser_of("train"), rng, ("run", "."))
    compiled = ("vp_jax.planning.report.compile_report", _stop)
    return _command(words, [("vp_jax.runs.train.begin", _stop), compiled])


@door("compile", nothing)
def _compile(folder: Path, rng: Rng) -> Callable[[], object]:
    good = pick(rng, (["local", "--sample", "--model", "nano"], ["local", "--config", "tiny"]))
    words = ["compile", *good, *_flags(parser_of("compile"), rng, ("v4:2x2x1", "h100:8", "h100:-1", "v4:0x0x0", "x:9"))]
    if "--config" in words and rng.random() < 0.5:
        words.append(_setting(rng, "tiny"))
    if rng.random() < 0.3:
        words[1] = pick(
            rng, ("v4:" + "9" * 30, "h100:" + "9" * 30, "v4:2x2", "h100:nan", "h100:", ":", "local:1", "v6e:1x1x1")
        )
    lowered = ("vp_jax.planning.lowering.lowering_table", _stop)
    return _command(words, [("vp_jax.planning.report.compile_report", _stop), lowered])


@door("sheet", clips)
def _sheet(folder: Path, rng: Rng) -> Callable[[], object]:
    world = rng.random() < 0.7
    parser = parser_of("sheet")
    kinds = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    good = ["world", "out.png", "--scenes", "0", "--edits", "1", "--height=16"]
    if not world:
        good = ["data", "--data", "vpdata", "--csv", "vpdata/rows.csv", "--out", "out.png"]
    assert kinds is not None
    flags = _flags(dict(kinds)[good[0]], rng, ("vpdata", "clips/table.csv", "out.png"))
    return _command(["sheet", *good, *flags], [])


@door("plots", training_run)
def _plots(folder: Path, rng: Rng) -> Callable[[], object]:
    return _command(["plots", "run", *_flags(parser_of("plots"), rng, ("run", "run/metrics.jsonl"))], [])


@door("latents", tiny_models)
def _latents(folder: Path, rng: Rng) -> Callable[[], object]:
    words = ["latents", "--config", "tiny", "--out", "latents", "--config.model.checkpoint=tiny"]
    words += _flags(parser_of("latents"), rng, ("tiny", "nano"))
    words += [_setting(rng, "tiny")] if rng.random() < 0.5 else []
    return _command(words, [("vp_jax.runs.latent_shards.build_latents", _stop)])


@door("shards", clips, share=0.5)
def _shards(folder: Path, rng: Rng) -> Callable[[], object]:
    words = ["shards", "--data", "vpdata", "--csv", "train=vpdata/rows.csv", "--out", "shards"]
    words += _flags(parser_of("shards"), rng, ("train=clips/table.csv", "=", "a=b=c", "../x=vpdata/rows.csv", "a/b=x"))
    if rng.random() < 0.2:
        words += ["--", pick(rng, ("--direct_num_workers=nan", "--x", "", "x", "--runner=x", "--runner"))]
    return _command(words, [("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", _stop)])


def conversion(folder: Path) -> None:
    """Something for every form of ``vp-jax convert``."""
    loras(folder)
    (folder / "transformer").symlink_to(GOLDEN / "transformer")
    tiny_models(folder)
    save_file({"x": np.zeros(3, np.float32)}, folder / "other.safetensors")


@door("convert flags", conversion)
def _convert(folder: Path, rng: Rng) -> Callable[[], object]:
    files = ("diffusers", "transformer", "tiny", "tiny/transformer", "style", "other.safetensors", ".")
    good = pick(
        rng,
        (
            ["one", "lora", "diffusers", "out"],
            ["one", "transformer", "transformer", "out"],
            ["export", "transformer", "tiny/transformer", "out"],
            ["export", "lora", "style", "out"],
            ["all", ".", "out"],
        ),
    )
    kinds = next(a for a in parser_of("convert")._actions if isinstance(a, argparse._SubParsersAction)).choices
    assert kinds is not None
    words = ["convert", *good, *_flags(dict(kinds)[good[0]], rng, files)]
    if rng.random() < 0.3:
        words[int(rng.integers(1, len(good) + 1))] = pick(rng, (*TEXTS, *files))
    return _command(words, [])


@door("other commands", training_run)
def _others(folder: Path, rng: Rng) -> Callable[[], object]:
    name = pick(rng, ("package", "vocabulary"))
    good = ["run", "--out", "package"] if name == "package" else ["out.model", "--captions=200", "--pieces=60"]
    trained = ("vp_jax.world.vocabulary._train", _few_captions)  # how long all of them take is what was asked for
    return _command([name, *good, *_flags(parser_of(name), rng, ("run", "run/export", "."))], [trained])


def _few_captions(texts: Iterable[str], model: Any, pieces: int, train: Any = vocabulary._train) -> None:
    train(itertools.islice(texts, 300), model, pieces)


@door("command names", nothing, share=0.3)
def _names(folder: Path, rng: Rng) -> Callable[[], object]:
    words = [pick(rng, (*COMMANDS, *TEXTS, "--help", "--version", "-x")) for _ in range(int(rng.integers(0, 4)))]
    return _command(words, [("vp_jax.jobs.run.run", _stop)])
