"""A converted checkpoint, ready to inpaint: load, encode the prompt, run every window, decode.

    Pipeline.load(folder)  ->  encode_prompt  ->  inpaint(frames, holes, text, settings)  ->  frames

Every program is jitted once per shape: one window after another, and one step after another, reuse it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import checkpoint, trees
from vp_jax.diffusion.noise import KeyNoise, NoiseSource
from vp_jax.diffusion.sampler import LoopState
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import Carry, WindowProgram, overlap_latents, stitch
from vp_jax.inference.window_store import WindowStore, digest
from vp_jax.interrupts import interrupt_arrived
from vp_jax.media.canvas import to_uint8
from vp_jax.models import config, t5, tokenizer
from vp_jax.models.attention import choose
from vp_jax.models.folder import (
    AUTOENCODER,
    BACKBONE,
    BRANCH,
    ID_ADAPTER,
    TEXT_ENCODER,
    CheckpointFolder,
    abstract,
    read_description,
)
from vp_jax.models.latent_grid import cover_cells
from vp_jax.models.vae import vae as vae_module
from vp_jax.models.vae.convs import Cache
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames, pixel_frames

Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """Where windows start, in frames, and to how many frames the video is padded (by repeating its last)."""

    windows: tuple[int, ...]
    padded_frames: int
    output_frames: int


def plan_windows(frames: int, settings: Settings) -> WindowPlan:
    """Windows of a video of ``frames`` frames.

    The default covers every frame: the stride is a multiple of 4, so that latents and frames stay in step, and the
    end is padded. Reference mode drops the tail.

    Raises:
      UserError: a video too short for reference mode, or windows of one frame for more than one.
    """
    size, stride = settings.window, settings.stride
    if settings.mode == "reference":
        if frames < size:
            raise UserError(
                f"{frames} frames, but reference mode needs at least one window of {size}: "
                f"give a longer video, a smaller --window, or use the default mode"
            )
        count = (frames - size) // stride + 1
        latents = latent_frames(size) * count - (count - 1) * (overlap_latents(settings) + 1)
        # an even number of latents makes 4 frames of the first one too
        made = pixel_frames(latents) if latents % 2 else TEMPORAL_STRIDE * latents
        return WindowPlan(tuple(k * stride for k in range(count)), frames, made)
    if size == 1 < frames:
        raise UserError(f"window 1 makes a single frame, the video has {frames}: expected 5, 9, 13 ... 4 n + 1")
    count = max(0, -(-(frames - size) // stride)) + 1
    return WindowPlan(tuple(k * stride for k in range(count)), size + (count - 1) * stride, frames)


@dataclasses.dataclass
class Pipeline:
    """Models, parameters and schedule of one converted checkpoint. Build it with `load`."""

    models: Models
    params: dict[str, Any]
    schedule: Schedule
    text_encoder: tuple[config.T5Config, Path] | None = None
    folders: tuple[Path, ...] = ()
    """Where the weights were read from."""

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        precision: str = "bfloat16",
        attention: str | None = None,
        id_adapter: bool = True,
        id_scale: float = 1.0,
        loras: Sequence[tuple[Path, float]] = (),
    ) -> Pipeline:
        """Load a folder made by ``python -m convert all``.

        Args:
          folder: holds ``transformer/ branch/ vae/`` and, where converted, ``text_encoder/ tokenizer/ id_adapter/``
            and ``scheduler/``.
          precision: ``bfloat16`` or ``float32``, for weights and computation.
          attention: backend, see `vp_jax.models.attention`; the fastest that serves the model and device by default.
          id_adapter: attach the ID adapter if the folder has one.
          id_scale: its LoRA scale (the released weights are used at 1.0, though trained at 0.5).
          loras: converted style adapters, each with a factor on its own scale.

        Raises:
          UserError: a missing, unconverted or unfitting folder; an unknown precision or backend.
        """
        source = CheckpointFolder.existing(folder)
        if precision not in ("bfloat16", "float32"):
            raise UserError(f"precision {precision!r}: expected bfloat16 or float32")
        types = {"dtype": precision, "param_dtype": precision}
        backbone_cfg = source.describe(BACKBONE, **types)
        backend = choose(attention, dtype=precision, head_dim=backbone_cfg.head_dim)
        backbone_cfg = dataclasses.replace(backbone_cfg, attention=backend)
        branch_cfg = source.describe(BRANCH, **types, attention=backend)
        vae_cfg = source.describe(AUTOENCODER, **types)
        if branch_cfg.dit.dim != backbone_cfg.dim or backbone_cfg.patch_t:
            raise UserError(
                f"{source.of(BRANCH)} (width {branch_cfg.dit.dim}) was not made for the backbone beside it "
                f"(width {backbone_cfg.dim}): convert the pair that belongs together"
            )

        adapters = [(source.of(ID_ADAPTER), id_scale)] if id_adapter and source.has(ID_ADAPTER) else []
        lora_cfgs, lora_params = [], []
        for path, factor in [*adapters, *loras]:
            cfg = read_description(path, config.LoRAConfig)
            lora_cfgs.append(dataclasses.replace(cfg, scale=factor if cfg.extra_keys else cfg.scale * factor))
            lora_params.append(checkpoint.load_params(path))

        models = Models(backbone_cfg, branch_cfg, vae_cfg, tuple(lora_cfgs))
        parts = (BACKBONE, BRANCH, AUTOENCODER)
        shapes = {name: like for name, (_, like) in models.abstract().items()}
        params: dict[str, Any] = {
            part.name: checkpoint.load_params(source.of(part), shapes[part.name]) for part in parts
        }
        params["loras"] = [trees.cast(p, jnp.dtype(precision)) for p in lora_params]
        read = [*(source.of(part) for part in parts), *(path for path, _ in (*adapters, *loras))]
        pipeline = cls(models, params, source.schedule(), folders=tuple(read))
        if source.has(TEXT_ENCODER):
            pipeline.text_encoder = source.describe(TEXT_ENCODER, **types), source.path
        return pipeline

    @property
    def native_size(self) -> tuple[int, int]:
        """Pixel height and width the backbone was made for."""
        cfg = self.models.backbone_cfg
        return cfg.sample_height * SPATIAL_STRIDE, cfg.sample_width * SPATIAL_STRIDE

    @property
    def fixed_size(self) -> bool:
        """Only the native size is possible (learned positions)."""
        return self.models.backbone_cfg.learned_positions

    @property
    def native_frames(self) -> int:
        """Frames per window the backbone was made for."""
        return self.models.backbone_cfg.sample_frames

    @property
    def has_text_encoder(self) -> bool:
        """Prompts can be encoded; otherwise embeddings must be given."""
        return self.text_encoder is not None

    def encode_prompt(self, prompt: str, negative: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Text embeddings of the prompt and of the negative prompt, float32 (M, E) each; see `encode_prompts`."""
        positive, empty = self.encode_prompts([prompt, negative])
        return positive, empty

    def encode_prompts(self, prompts: Sequence[str]) -> np.ndarray:
        """Text embeddings (B, M, E) float32 of texts.

        The text encoder is loaded for this call and let go: its 9.5 GB are not needed while sampling.

        Raises:
          UserError: the checkpoint has no text encoder or tokenizer.
        """
        if self.text_encoder is None:
            raise UserError("this checkpoint has no text encoder: convert one, or pass --prompt_embeds FILE.npz")
        cfg, folder = self.text_encoder
        source = CheckpointFolder(folder)
        ids = tokenizer.Tokenizer(source.vocabulary()).encode(
            list(prompts), length=self.models.backbone_cfg.max_text_len
        )
        graph, shapes = abstract(cfg)
        encoder = nnx.merge(graph, checkpoint.load_params(source.of(TEXT_ENCODER), shapes))
        return np.asarray(t5.encode_text(encoder, jnp.asarray(ids)), np.float32)

    def plan(self, frames: int, settings: Settings) -> WindowPlan:
        """See `plan_windows`."""
        return plan_windows(frames, settings)

    def sample_latents(
        self,
        frames_FHWC: np.ndarray,
        holes_FHW: np.ndarray,
        text: tuple[np.ndarray, np.ndarray],
        settings: Settings,
        *,
        noise_of: Callable[[int], NoiseSource] | None = None,
        progress: Progress | None = None,
        keep: Path | None = None,
    ) -> np.ndarray:
        """Final latents of the whole video, float32 (1, T, h, w, C).

        Args:
          frames_FHWC: uint8 pixels, as many as `plan_windows` pads to; holes black.
          holes_FHW: bool, True = hole.
          text: embeddings (M, E) of prompt and negative prompt.
          noise_of: the random draws of each window; from ``settings.seed`` and the window's number by default.
          progress: called with (steps done, steps in all, label).
          keep: folder of finished windows and steps; a call with the same arguments continues behind what it finds
            there, with the same result. The caller removes it.
        """
        plan = plan_windows(len(frames_FHWC), settings)
        # the seed is no part of a program: another seed compiles nothing new
        jitted = _jit(WindowProgram(self.models, dataclasses.replace(settings, seed=0), self.schedule))
        program = jitted.program
        noise_of = noise_of or (lambda k: KeyNoise(jax.random.fold_in(jax.random.key(settings.seed), k)))
        positive, negative = text
        # inputs are committed to where the weights are: else jit compiles anew once its own outputs come back
        put = functools.partial(jax.device_put, device=_placement(self.params))
        text_BME = put(np.stack([negative, positive] if program.guided else [positive]))
        total = len(plan.windows) * settings.steps

        store = None
        if keep is not None:
            facts = (settings, self.models, self.schedule, jax.__version__, jax.default_backend())
            store = WindowStore(keep, digest((frames_FHWC, holes_FHW, *text), facts, self.folders))
        finished = store.finished(len(plan.windows), states=settings.clip_weight > 0) if store else 0
        finals = [store.latents(k) for k in range(finished)] if store else []
        carry: Carry | None = put(store.carry(finished - 1)) if store and finished else None
        for k in range(finished, len(plan.windows)):
            label, begin = f"window {k + 1}/{len(plan.windows)}", plan.windows[k]
            pixels = put(frames_FHWC[None, begin : begin + settings.window].astype(np.float32) / 127.5 - 1.0)
            holes = put(holes_FHW[None, begin : begin + settings.window].astype(np.float32))
            noise = put(noise_of(k))
            image = None
            if self.models.takes_image:
                image = (
                    jitted.encode_image(self.params, pixels[:, :1], noise) if carry is None else program.image_of(carry)
                )
            latents = jitted.encode(self.params, pixels, holes, image, noise)
            previous = None if carry is None else carry.previous
            needs_states = settings.clip_weight > 0 and k + 1 < len(plan.windows)
            at = _At(0, put(program.begin(latents, noise)))
            if store and k == finished:
                if (found := store.unfinished()) and found.window == k:
                    at = _At(found.done, put(found.state))
                if progress is not None and k + at.done:
                    progress(k * settings.steps + at.done, total, f"{label} continued")
            try:
                while at.done < settings.steps:
                    record = needs_states and at.done + 1 == settings.steps
                    # one assignment: an interrupt finds a state and its number that belong together
                    at = _At(
                        at.done + 1,
                        *jitted.step(self.params, at.state, at.done, latents, text_BME, previous, noise, record=record),
                    )
                    if progress is not None:
                        at.state.x.block_until_ready()
                        progress(k * settings.steps + at.done, total, label)
                    if store and at.done < settings.steps:
                        store.save_step(k, at.done, at.state)
            except KeyboardInterrupt:
                interrupt_arrived()
                if store and at.done == settings.steps:
                    store.save(k, program.finish(at.state, at.recorded, latents, text_BME))
                elif store and at.done:
                    store.save_step(k, at.done, at.state, now=True)
                raise
            carry = program.finish(at.state, at.recorded, latents, text_BME)
            finals.append(np.asarray(carry.latents_BThwC))
            if store:
                store.save(k, carry)
        return stitch(finals, overlap_latents(settings), reference=program.reference)

    def decode(self, latents_BThwC: np.ndarray) -> np.ndarray:
        """Pixels of scaled latents, float32 (B, F, H, W, 3), not clamped."""
        return np.concatenate(list(self.decode_chunks(latents_BThwC)), axis=1)

    def decode_chunks(self, latents_BThwC: np.ndarray) -> Iterator[np.ndarray]:
        """`decode` a few frames at a time: the device holds one chunk, and videos of any length share two programs."""
        cache, begin = None, 0
        while begin < latents_BThwC.shape[1]:
            count = (
                vae_module.DECODE_CHUNK
                if begin
                else vae_module.split_first(latents_BThwC.shape[1], vae_module.DECODE_CHUNK)
            )
            chunk = jax.device_put(latents_BThwC[:, begin : begin + count], _placement(self.params))
            pixels, cache = _decode_chunk(self.models, self.params, chunk, cache)
            yield np.asarray(pixels)
            begin += count

    def inpaint(
        self,
        frames_FHWC: np.ndarray,
        holes_FHW: np.ndarray,
        text: tuple[np.ndarray, np.ndarray],
        settings: Settings,
        first_frame: np.ndarray | None = None,
        progress: Progress | None = None,
        keep: Path | None = None,
    ) -> np.ndarray:
        """Inpaint a video of any length.

        Args:
          frames_FHWC: uint8 [0, 255], H and W multiples of 16.
          holes_FHW: bool, True = to be generated.
          text: embeddings from `encode_prompt`.
          first_frame: uint8 (H, W, 3) that replaces frame 0, whose hole is then closed.
          progress: called with (steps done, steps in all, label).
          keep: see `sample_latents`.

        Returns:
          uint8 frames; as many as given, but in reference mode as many as the original makes.
        """
        plan = plan_windows(len(frames_FHWC), settings)
        holes = np.array(holes_FHW, bool)
        if first_frame is not None:
            holes[0] = False
        if settings.mode != "reference":
            holes = cover_cells(holes)
        frames = np.where(holes[..., None], np.uint8(0), frames_FHWC)
        if first_frame is not None:
            frames[0] = first_frame
        extra = plan.padded_frames - len(frames)
        frames = np.concatenate([frames, np.repeat(frames[-1:], extra, axis=0)])
        holes = np.concatenate([holes, np.repeat(holes[-1:], extra, axis=0)])
        latents = self.sample_latents(frames, holes, text, settings, progress=progress, keep=keep)
        if settings.mode != "reference" and latents.shape[1] % 2 == 0:
            # of an even number the VAE would make 4 frames of the first latent: one more at the end, cut off below
            latents = np.concatenate([latents, latents[:, -1:]], axis=1)
        total = len(plan.windows) * settings.steps
        out_FHWC = np.empty((plan.output_frames, *frames.shape[1:]), np.uint8)
        made = 0
        for pixels_BFHWC in self.decode_chunks(latents):
            part_FHWC = to_uint8(pixels_BFHWC[0, : plan.output_frames - made])
            out_FHWC[made : made + len(part_FHWC)] = part_FHWC
            made += len(part_FHWC)
            if progress is not None:
                progress(total, total, f"decoding {made}/{plan.output_frames} frames")
        return out_FHWC


class _At(NamedTuple):
    """Where a window is: steps done, the state after them, and what the last step recorded."""

    done: int
    state: LoopState
    recorded: jax.Array | None = None


def _placement(params: dict[str, Any]) -> jax.sharding.Sharding:
    """Where small inputs go: beside the weights, whole on every device of their mesh."""
    sharding = jax.tree.leaves(params)[0].sharding
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return sharding


class _Jitted(NamedTuple):
    """A window program and its three jitted parts."""

    program: WindowProgram
    encode: Any
    encode_image: Any
    step: Any


@functools.lru_cache(maxsize=8)
def _jit(program: WindowProgram) -> _Jitted:
    return _Jitted(
        program,
        jax.jit(program.encode),
        jax.jit(program.encode_image),
        jax.jit(program.step, static_argnames=("record",)),
    )


@functools.partial(jax.jit, static_argnums=0)
def _decode_chunk(
    models: Models, params: dict[str, Any], latents_BThwC: jax.Array, cache: Cache | None
) -> tuple[jax.Array, Cache]:
    pixels, cache = models.vae(params).decode_chunk(vae_module.unscale(models.vae_cfg, latents_BThwC), cache)
    return pixels.astype(jnp.float32), cache
