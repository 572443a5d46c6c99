"""Train VideoPainter's context encoder or ID adapter, or from nothing the VAE and the backbone they need.

    python train.py --config configs/tpu_v4.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA [--config.optimizer.lr=2e-5 ...]
    python train.py --config configs/tiny.py --workdir RUN            a minute on a CPU, needs no files
    python train.py --config ... --compile_only v4:4x4x4              does the step fit a pod that is not here?
    python train.py --config ... --workdir RUN --export               write the newest checkpoint's model and stop

CONVERTED is made by `python -m convert all`. Running the same command again continues where RUN ends; SIGTERM and
Ctrl-C save first. RUN holds checkpoints/, metrics.jsonl (curves: `vp-jax plots RUN`), pictures/,
data.jsonl (clips that could not be used), config.json, starts.jsonl (commit and versions of every start), and at
the end export/, whose folders replace those in CONVERTED.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from ml_collections import ConfigDict, config_flags

from vp_jax import sharding, trees
from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.cli.program import run_cli
from vp_jax.data.augment import MaskAugment
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.shards.latents import load_empty_text
from vp_jax.errors import UserError, check_numbers
from vp_jax.inference.settings import Settings
from vp_jax.planning import aot
from vp_jax.provenance import commit, versions
from vp_jax.runs import command, feed, hosts, load, validation
from vp_jax.runs.recorder import Recorder
from vp_jax.runs.stop import StopSignal
from vp_jax.runs.workdir import claimed, write_config
from vp_jax.scalars import MetricsWriter
from vp_jax.shapes import latent_grid
from vp_jax.training import flops
from vp_jax.training.optim import OptimConfig, learning_rate, make_optimizer
from vp_jax.training.stages.scratch import VAEStage
from vp_jax.training.state import init_state, state_shardings
from vp_jax.training.step import StepConfig, make_train_step, step_keys
from vp_jax.world.synthetic import HELD_OUT, WordIds

CONFIG = config_flags.DEFINE_config_file("config", None, "Settings: a file of configs/.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
EXPORT = flags.DEFINE_bool("export", False, "Write the newest checkpoint's model to WORKDIR/export and stop.")
COMPILE_ONLY = flags.DEFINE_string(
    "compile_only",
    None,
    "Compile the step for a TPU slice (v4:4x4x4, v5p:2x2x4, "
    "v6e:8x8; needs vp_jax[aot]) or for 'local' devices, say what it takes and stop.",
)


def train(config: ConfigDict, workdir: Path, *, export_only: bool = False) -> int:
    """The whole program; returns the exit status: 0, or 128 + the number of the signal that ended it early."""
    # settings to descriptions: every mistake in them is found here, before anything is loaded
    model_cfg, data_cfg = load.ModelConfig(**config.model), feed.DataConfig(**config.data)
    optim_cfg, step_cfg = OptimConfig(**config.optimizer), StepConfig(**config.step)
    loader_cfg = LoaderConfig(
        **config.loader,
        seed=config.seed,
        augment=MaskAugment(**config.augment),
        on_device=True,
        journal=workdir / "data.jsonl",
    )
    check_numbers(config, "steps", 1)
    check_numbers(config, "log_every")
    check_numbers(config.checkpoints, "every", group="checkpoints.")
    check_numbers(config.checkpoints, "keep", 1, group="checkpoints.")
    check_numbers(config.validation, "every", group="validation.")
    check_numbers(config.validation, "clips", 1, group="validation.")
    settings = Settings(
        steps=config.validation.steps,
        guidance=config.validation.guidance,
        window=config.validation.frames,
        seed=config.seed,
    )
    if config.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", config.compilation_cache)
    hosts.join(config.distributed)
    chief = jax.process_index() == 0
    say = print if chief else (lambda *_, **__: None)

    # models as shapes, devices, and where everything goes
    described = load.describe(model_cfg)
    stage, encoders, schedule = described.stage, described.encoders, described.schedule
    load.check_size(described, loader_cfg.frames, loader_cfg.height, loader_cfg.width)
    mesh = sharding.make_mesh(config.mesh)
    optimizer = make_optimizer(optim_cfg, config.steps)
    start = functools.partial(init_state, optimizer=optimizer, ema=config.ema)
    state_shapes = jax.eval_shape(start, stage.shapes().trainable)
    places = state_shardings(state_shapes, mesh, offload=optim_cfg.offload)
    per_chip = sharding.bytes_per_device(state_shapes, places)
    say(
        f"{stage.kind}: {trees.size_bytes(stage.shapes().trainable) / 4e6:.1f} M weights trained, "
        f"{trees.size_bytes(stage.shapes().frozen) / 1e9:.2f} GB frozen; mesh {dict(mesh.shape)} of "
        f"{mesh.devices.flat[0].device_kind}, state {per_chip / 1e9:.2f} GB per chip"
    )

    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignal(alone=jax.process_count() == 1))
        stack.enter_context(jax.set_mesh(mesh))
        if chief:
            stack.enter_context(claimed(workdir))

        # data
        tokenizer: Any = WordIds(described.text_len)
        if encoders.t5 is not None or encoders.pretraining:
            tokenizer = feed.CaptionIds(load.tokenizer_file(model_cfg), described.text_len)
        share = feed.host_share(mesh, loader_cfg.batch_size)
        loader = feed.open_loader(
            data_cfg, loader_cfg, tokenizer, encoders.vae.scaling_factor, share, masked=not encoders.pretraining
        )
        stack.callback(loader.close)

        # state
        checkpoints = stack.enter_context(TrainingCheckpoints(workdir / "checkpoints", config.checkpoints.keep))
        if checkpoints.latest is None and export_only:
            raise UserError(f"nothing to export: no checkpoint in {workdir / 'checkpoints'}")
        if checkpoints.latest is None and (workdir / "export").exists():
            raise UserError(
                f"{workdir} holds an export but no checkpoint to continue from: choose another --workdir, "
                f"or move export/ away"
            )
        init_key, base_key, picture_key = hosts.keys(config.seed, 3, sharding.replicated(mesh))

        # Where trained weights come from, the first that applies:
        # 1. the newest checkpoint of this workdir, with optimizer, average, step and place in the data
        # 2. model.init_from, the weights alone
        # 3. the first backbone blocks (branch), an adapter that changes nothing (id_adapter)
        # of a converted checkpoint, or of a random model where there is none
        weights, encoder_weights = load.load(model_cfg, described, mesh, init_key)
        frozen, resumed = weights.frozen, checkpoints.restore_newest(sharding.shapes_at(state_shapes, places))
        if resumed is None:
            state, done = jax.jit(start, out_shardings=places)(weights.trainable), 0
        else:
            state, done = resumed.state, resumed.step
            loader.set_state(resumed.notes["loader"])
            for line in resumed.damaged:
                say(line)
            say(f"resumed from step {done}" + _changes(resumed.notes["config"], json.loads(config.to_json())))
        del weights, resumed

        writer = None
        if chief and not export_only:
            writer = stack.enter_context(MetricsWriter(workdir, resume_step=done))
            write_config(workdir, config.to_json(indent=1) + "\n")
            with (workdir / "starts.jsonl").open("a") as file:
                file.write(json.dumps({"step": done, "commit": commit(), "versions": versions()}) + "\n")
        latent_shape = latent_grid(loader_cfg.frames, loader_cfg.height, loader_cfg.width)
        peak = flops.peak_flops(mesh.devices.flat[0].device_kind)
        recorder = Recorder(
            writer,
            learning_rate(optim_cfg, config.steps),
            config.steps,
            loader_cfg.batch_size,
            flops.step_flops(stage, loader_cfg.batch_size, *latent_shape),
            peak and peak * mesh.size,
        )

        # programs
        encode = jax.jit(
            lambda weights, batch, key, step: stage.inputs(encoders, weights, batch, step_keys(key, step).encode)
        )
        train_step = jax.jit(
            make_train_step(stage, optimizer, step_cfg, schedule),
            donate_argnums=0,
            out_shardings=(places, sharding.replicated(mesh)),
        )
        validate = (
            _validation(
                config, described, settings, data_cfg, loader_cfg, tokenizer, mesh, encode, encoder_weights, picture_key
            )
            if config.validation.every
            else None
        )

        def save(wait: bool = False) -> None:
            checkpoints.save(
                done, state, {"loader": loader.get_state(), "config": json.loads(config.to_json())}, wait=wait
            )

        while done < config.steps and not export_only:
            begin = time.perf_counter()
            batch = feed.on_devices(next(loader), mesh)
            waited = time.perf_counter() - begin
            with jax.transfer_guard("disallow"):
                latents = encode(encoder_weights, batch, base_key, state.step)
                state, metrics = train_step(state, frozen, latents, base_key)
            del batch, latents
            done += 1
            recorder.add(done, metrics, waited)

            stopping = checkpoints.preempted(done) if jax.process_count() > 1 else stop.received is not None
            due = {
                name: bool(every) and done % every == 0
                for name, every in (
                    ("log", config.log_every),
                    ("save", config.checkpoints.every),
                    ("picture", config.validation.every),
                )
            }
            last = stopping or done == config.steps
            # a line before every checkpoint: a restart then repeats whole intervals, and none is saved with bad numbers
            if due["log"] or due["save"] or last:
                say(recorder.flush(), flush=True)
                checkpoints.check()
            if validate and not stopping and (due["picture"] or last):
                _picture(validate(state.ema or state.params, frozen), workdir, writer, done)
            if due["save"] or last:
                save(wait=last)
            recorder.pause()
            if stopping:
                reason = stop.received.name if stop.received else "preemption"
                say(f"{reason}: saved step {done}, the same command continues from there", flush=True)
                return 128 + (stop.received or 15)

        unseen = (feed.on_devices(next(loader), mesh) for _ in range(4))
        folder = load.export(workdir / "export", model_cfg, described, state.ema or state.params, frozen, unseen)
        say(f"step {done}: model written to {folder}")
    return 0


def _validation(
    config: ConfigDict,
    described: load.Described,
    settings: Settings,
    data_cfg: feed.DataConfig,
    loader_cfg: LoaderConfig,
    tokenizer: Any,
    mesh: Any,
    encode: Any,
    encoder_weights: Any,
    key: Any,
) -> Any:
    """The function that makes pictures of a few fixed examples, drawn with another seed, from other data if given."""
    encoders = described.encoders
    # a data set of its own, where one is named
    data_cfg = dataclasses.replace(
        data_cfg, **{name: config.validation[name] for name in ("path", "csv", "split") if config.validation[name]}
    )
    if data_cfg.kind == "synthetic":
        data_cfg = dataclasses.replace(data_cfg, synthetic_first=HELD_OUT)
    held = dataclasses.replace(
        loader_cfg,
        batch_size=config.validation.clips,
        frames=settings.window,
        workers=0,
        seed=config.seed + 1,
        image_dropout=0.0,
    )
    share = feed.host_share(mesh, held.batch_size)
    loader = feed.open_loader(
        data_cfg, held, tokenizer, encoders.vae.scaling_factor, share, masked=not encoders.pretraining
    )
    raw = next(loader)
    loader.close()
    if isinstance(described.stage, VAEStage):
        whole = dataclasses.replace(described.stage, crop=(0, 0))
        described = dataclasses.replace(described, stage=whole)
        batch = whole.inputs(encoders, {}, feed.on_devices(raw, mesh), key)
    else:
        batch = encode(encoder_weights, feed.on_devices(raw, mesh), key, jnp.zeros((), jnp.int32))
    empty = load_empty_text(data_cfg.path) if data_cfg.kind == "latents" else None
    if encoders.pretraining:
        negative = jnp.asarray(tokenizer(""))
    elif empty is not None:
        negative = jnp.asarray(empty)
    else:
        negative = jax.jit(encoders.text)(encoder_weights, jnp.asarray(tokenizer("")[None]))[0]
    program = validation.Validation(described, settings).jitted(mesh)
    mask = batch.get("mask_BThw")
    if mask is not None:
        mask = jax.jit(lambda x: x, out_shardings=sharding.replicated(mesh))(mask)

    def run(trainable: Any, frozen: Any) -> tuple[validation.Samples, list[str]]:
        clean, result = program(trainable, frozen, encoder_weights.get("vae"), batch, negative, key)
        return validation.to_samples(clean, result, mask), [str(text) for text in raw["caption"]]

    return run


def _picture(
    samples: tuple[validation.Samples, list[str]], workdir: Path, writer: MetricsWriter | None, step: int
) -> None:
    if writer is None:
        return
    sheets = validation.save_pictures(*samples, workdir / "pictures", step)
    for number, sheet in enumerate(sheets):
        writer.picture(step, f"sample_{number}", sheet)
    writer.write(step, {"val_hole_psnr": validation.hole_psnr(samples[0]), "val_psnr": validation.psnr(samples[0])})


def _changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Settings that differ from those the checkpoint was written with."""
    old, new = trees.flatten(before), trees.flatten(now)
    changed = [
        f"{name.replace('/', '.')} {old.get(name)} -> {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return f"; settings changed: {', '.join(changed)}" if changed else ""


def parse(argv: list[str]) -> list[str]:
    """Flags into their places; what is left over. Mistakes are one line."""
    return command.parse(argv, CONFIG)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise UserError(f"unexpected arguments {argv[1:]}: settings are given as --config.NAME=VALUE")
    if CONFIG.value is not None and COMPILE_ONLY.value is not None:
        return aot.compile_only(CONFIG.value, COMPILE_ONLY.value)
    if CONFIG.value is None or not WORKDIR.value:
        raise UserError("give --config configs/FILE.py and --workdir RUN, see python train.py --help")
    return train(CONFIG.value, Path(WORKDIR.value), export_only=EXPORT.value)


if __name__ == "__main__":
    run_cli(lambda: main(parse(sys.argv)))
