"""A converted checkpoint, ready to inpaint.

    pipe = Pipeline.load(folder)
    pipe(video, mask, prompt)    -> Result       everything, checked: sizes, pasting, sound
    pipe.stream(...)             -> Segments     the same, window by window
    pipe.inpaint(frames, ...)    -> frames       arrays at the model's size
    pipe.windows(...)            -> events       for programs that put more around the loop (`vp_jax.jobs`)

Every program is jitted once per shape: one window after another, and one step after another, reuse it.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.reuse import Drift
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference import conditioned
from vp_jax.inference import stream as loop
from vp_jax.inference.compiled import CompiledWindow
from vp_jax.inference.decode import Decoded, StreamDecoder, decoded, stitch
from vp_jax.inference.inputs import Mask, Video, as_mask, as_video
from vp_jax.inference.joint import joint_windows
from vp_jax.inference.load import describe_encoder, describe_models, load_models
from vp_jax.inference.models import Models, Params
from vp_jax.inference.named import find_model
from vp_jax.inference.padded import PaddedArrays, PaddedVideo, pad_video
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.progress import ProgressFn, reported
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.prompts import Prompts
from vp_jax.inference.request import Look, Options, Request, check_size, make_request
from vp_jax.inference.result import Result, Segment, collect, segments
from vp_jax.inference.settings import Settings
from vp_jax.inference.step_cache import read_drift, reused_by
from vp_jax.inference.task import BACKGROUND, FILL, REMOVE, negative_of
from vp_jax.inference.text import encode_texts, unread
from vp_jax.inference.window import window_noise
from vp_jax.models import config
from vp_jax.models.folder import CheckpointFolder


@dataclasses.dataclass
class Pipeline:
    """Models, parameters and schedule of one converted checkpoint. Build it with `load`."""

    models: Models
    params: Params
    schedule: Schedule
    text_encoder: tuple[config.T5Config, Path] | None = None
    folders: tuple[Path, ...] = ()  # where the weights were read from
    drift: Drift | None = None  # of the model's estimates from step to step, for a step cache
    own_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings whose defaults are others for this model."""

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        precision: str | None = None,
        attention: str | None = None,
        id_adapter: bool = True,
        id_scale: float = 1.0,
        loras: Sequence[tuple[str | Path, float]] = (),
        mesh: str | None = None,
        weights: str | None = None,
    ) -> Pipeline:
        """Load a model.

        Args:
          model: ``"nano"``, which comes with the package, or a folder made by ``python -m convert all``: it holds
            ``transformer/ branch/ vae/`` and, where converted, ``text_encoder/ tokenizer/ id_adapter/ scheduler/``.
          precision: ``bfloat16`` or ``float32``, for weights and computation; by default what suits the model.
          attention: backend, see `vp_jax.models.attention`; by default the fastest for model and device.
          id_adapter: attach the ID adapter if the folder has one.
          id_scale: its LoRA scale (the released weights are used at 1.0, though trained at 0.5).
          loras: converted style adapters, each with a factor on its own scale.
          weights: ``"int8"``: blocks in 8 bits, adapters merged; ``"host"``: blocks wait in the host's memory.
          mesh: devices that sample a video together, such as ``"data=2,context=4"``, see `vp_jax.sharding.mesh_of`.

        Raises:
          UserError: a missing, unconverted or unfitting folder; an unknown precision or backend; an unfitting mesh.
        """
        known = find_model(model)
        same: dict[str, Any] = {"attention": attention, "id_adapter": id_adapter, "id_scale": id_scale}
        same |= {"loras": [(Path(path), factor) for path, factor in loras], "mesh": mesh, "weights": weights}
        source = CheckpointFolder.existing(known.folder)
        loaded = load_models(source, precision=precision or known.precision, **same)
        return cls(*loaded, own_settings={**conditioned.own_settings(loaded.models), **known.settings})

    @classmethod
    def describe(
        cls,
        model: str | Path,
        *,
        precision: str | None = None,
        attention: str | None = None,
        id_adapter: bool = True,
        id_scale: float = 1.0,
        loras: Sequence[tuple[str | Path, float]] = (),
        mesh: str | None = None,
        weights: str | None = None,
    ) -> Pipeline:
        """The pipeline that `load` makes, without weights: it plans and checks, and cannot sample. Reads JSON only.

        Raises:
          UserError: as `load`.
        """
        known = find_model(model)
        source, precision = CheckpointFolder.existing(known.folder), precision or known.precision
        same: dict[str, Any] = {"attention": attention, "id_adapter": id_adapter, "id_scale": id_scale}
        same |= {"loras": [(Path(path), factor) for path, factor in loras], "mesh": mesh, "weights": weights}
        models = describe_models(source, precision=precision, **same)
        empty, encoder = Params(backbone={}, branch={}, vae={}, loras=[]), describe_encoder(source, precision)
        own, drift = {**conditioned.own_settings(models), **known.settings}, read_drift(source.path)
        return cls(models, empty, source.schedule(), encoder, drift=drift, own_settings=own)

    @property
    def native_size(self) -> tuple[int, int]:
        """Pixel height and width the backbone was made for."""
        return conditioned.native_size(self.models)

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

    @property
    def settings(self) -> Settings:
        """The model's defaults."""
        return Settings(**{"window": self.native_frames, **self.own_settings})

    def __call__(
        self,
        video: Video | np.ndarray,
        mask: Mask | np.ndarray | None = None,
        prompt: str | Prompt | Prompts | None = None,
        *,
        negative_prompt: str | None = None,
        progress: ProgressFn | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Inpaint a video of any length and size.

        Args:
          video: from `vp_jax.read_video`, or uint8 frames (F, H, W, 3).
          mask: from `vp_jax.read_mask`, or bool, 0/1 or 0/255: (F, H, W), or (H, W) for all frames. ``None`` where the
            picture is only extended.
          prompt: what the finished video shows, its embeddings from `encode_prompt`, or `Prompts` that change with the
            window or the time. A removal has one of its own.
          negative_prompt: what it should not show; ``None``: nothing, or what a removal names.
          progress: called with (steps done, steps in all, label).
          first_frame: a picture to start from, as an array or a file, whose hole is closed; ``"original"`` keeps the
            video's own. By default frame 0 is generated too.
          height, width: of the generated video, multiples of 16; default: the model's. It is stretched there and back.
          paste: put the result into the source's holes (default), or return the model's complete picture.
          feather: pixels inside the hole's rim over which source and result blend.
          fit: how a video of another size reaches the model: "stretch", "letterbox" (its own aspect) or "crop" (a part
            that follows the hole, at full detail), see `vp_jax.media.fit`.
          task: "fill" the hole with what the prompt describes, or "remove" what was there, see `vp_jax.inference.task`.
          extend: pixels that are added to the picture and generated, "left=160,right=160" or "16:9", see
            `vp_jax.media.extend`.
          cuts: frames that begin a shot, see `vp_jax.media.cuts.find_cuts`. No window reaches across; default: none.
          affected: a second mask, of what may change because of a removal; only for VOID, default: the surroundings.
          settings: complete `Settings`, in place of the model's own.
          steps, guidance, seed ...: single settings, by name; see `Settings`.

        Returns:
          Frames at the source's size, which ``extend`` enlarges; as many as given, but in reference mode as many as the
          original makes.

        Raises:
          UserError: bad input, in one line: what was given, what was expected.
        """
        request = self.request(as_video(video), mask, **options)
        words = _words(options.get("task", FILL), prompt, negative_prompt)
        events = self.decoded(self._windows_of(request, *words), request.plan, request.settings, request.size)
        return collect(reported(events, request.plan, request.settings, progress), request)

    def stream(
        self,
        video: Video | np.ndarray,
        mask: Mask | np.ndarray | None = None,
        prompt: str | Prompt | Prompts | None = None,
        *,
        negative_prompt: str | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Segment]:
        """Inpaint as `__call__` does, and yield the frames of each window as soon as they are finished."""
        request = self.request(as_video(video), mask, **options)
        events = self._windows_of(request, *_words(options.get("task", FILL), prompt, negative_prompt))
        return segments(self.decoded(events, request.plan, request.settings), request)

    def request(self, video: Video, mask: Mask | np.ndarray | None, **options: Unpack[Options]) -> Request:
        """Check everything that `__call__` is given and fit it to the model; see there.

        Raises:
          UserError: bad input, in one line.
        """
        look = cast(Look, {name: value for name, value in options.items() if name in Look.__annotations__})
        changes = {name: value for name, value in options.items() if name not in Look.__annotations__}
        settings = cast(Settings | None, changes.pop("settings", None)) or self.settings
        size, settings = self.size(look.get("height"), look.get("width")), settings.changed(**changes)
        conditioned.check_asked(self.models, settings, look, bordered=video.border is not None)
        reused_by(self.drift, self.schedule, settings)
        mask, quad = None if mask is None else as_mask(mask), self.models.inpaint_kind == "void"
        return make_request(video, mask, settings, size, look, quad=quad)

    def size(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """Height and width to generate at; the model's own where none is given.

        Raises:
          UserError: no multiple of 16, or not the one size that the model can make.
        """
        check_size(height, width)
        native = self.native_size
        size = (height or native[0], width or native[1])
        if self.fixed_size and size != native:
            raise UserError(f"height {size[0]} width {size[1]}: this model runs at {native[0]} x {native[1]} only")
        return size

    def embeddings(self, prompt: str | Prompt, negative: str = "") -> Prompt:
        """A prompt as embeddings that fit the model: encoded here, or given and checked.

        Raises:
          UserError: embeddings of another width, or a text and no text encoder.
        """
        if isinstance(prompt, str):
            return self.encode_prompt(prompt, negative)
        cfg = self.models.backbone_cfg
        for array in prompt:
            fits = array.ndim == 2 and array.shape[1] == cfg.text_dim
            if not fits or (cfg.learned_positions and len(array) != cfg.max_text_len):
                raise UserError(
                    f"text embeddings of shape {array.shape}: expected ({cfg.max_text_len}, {cfg.text_dim})"
                )
        return prompt

    def encode_prompt(self, prompt: str, negative: str = "") -> Prompt:
        """Text embeddings of the prompt and of the negative prompt; see `encode_prompts`."""
        return Prompt(*self.encode_prompts([prompt, negative]))

    def encode_prompts(self, prompts: Sequence[str], at_once: int | None = None) -> np.ndarray:
        """Text embeddings (B, M, E) float32 of texts. What the text encoder cannot read of them is a warning.

        Args:
          prompts: B texts.
          at_once: how many go through the encoder together; default: all.

        Raises:
          UserError: the checkpoint has no text encoder or tokenizer.
        """
        if self.text_encoder is None:
            raise UserError("this model has no text encoder: convert one, or give embeddings in place of the prompt")
        cfg, folder = self.text_encoder
        for line in unread(prompts, CheckpointFolder(folder)):
            warnings.warn(line, stacklevel=2)
        return encode_texts(prompts, cfg, CheckpointFolder(folder), self.models.backbone_cfg.max_text_len, at_once)

    def plan(self, frames: int, settings: Settings) -> WindowPlan:
        """See `plan_windows`."""
        return plan_windows(frames, settings)

    def windows_continue(self, settings: Settings) -> bool:
        """A window reads what the one before it left: its last latents, or its states."""
        return self.models.takes_image or settings.clip_weight > 0

    def windows(
        self,
        video: PaddedVideo,
        prompt: Prompt | Sequence[Prompt],
        settings: Settings,
        *,
        noise_of: Callable[[int], NoiseSource] | None = None,
        start: loop.Start = loop.BEGINNING,
        plan: WindowPlan | None = None,
    ) -> Iterator[loop.Event]:
        """Events of `vp_jax.inference.stream.windows` for a padded video.

        Args:
          video: as long as the windows need, see `pad_video`.
          prompt: text embeddings, of all windows or of each.
          settings: of the run.
          noise_of: the random draws of each window; by default `window_noise`.
          start: where an earlier run stopped.
          plan: of the windows, if the video has scene cuts.
        """
        reused = reused_by(self.drift, self.schedule, settings)
        compiled = CompiledWindow(self.models, self.params, self.schedule, settings, reused)
        plan = plan or plan_windows(video.length, settings)
        noise_of = noise_of or functools.partial(window_noise, settings)
        prompts = [prompt] * len(plan.windows) if isinstance(prompt, Prompt) else prompt
        sampled = joint_windows if settings.joint else loop.windows
        return loop.finite(sampled(compiled, video, prompts, plan, noise_of, start), len(plan.windows))

    def decoded(
        self, events: Iterable[loop.Event], plan: WindowPlan, settings: Settings, size: tuple[int, int] | None = None
    ) -> Iterator[loop.Event | Decoded]:
        """Events with the frames that they finish; see `vp_jax.inference.decode.decoded`."""
        return decoded(events, self.models, self.params, plan, settings, size)

    def inpaint(
        self,
        frames_FHWC: np.ndarray,
        holes_FHW: np.ndarray,
        prompt: Prompt,
        settings: Settings,
        first_frame: np.ndarray | None = None,
        progress: ProgressFn | None = None,
    ) -> np.ndarray:
        """Inpaint arrays at the model's size; nothing is resized or pasted.

        Args:
          frames_FHWC: uint8 [0, 255], H and W multiples of 16.
          holes_FHW: bool, True = to be generated.
          prompt: embeddings from `encode_prompt`.
          settings: of the run.
          first_frame: uint8 (H, W, 3) that replaces frame 0, whose hole is then closed.
          progress: called with (steps done, steps in all, label).

        Returns:
          uint8 frames; as many as given, but in reference mode as many as the original makes.
        """
        plan = plan_windows(len(frames_FHWC), settings)
        padded = pad_video(frames_FHWC, holes_FHW, settings, first_frame)
        events = self.decoded(self.windows(padded, prompt, settings), plan, settings)
        found = reported(events, plan, settings, progress)
        return np.concatenate([event.frames_FHWC for event in found if isinstance(event, Decoded)])

    def sample_latents(
        self,
        frames_FHWC: np.ndarray,
        holes_FHW: np.ndarray,
        prompt: Prompt,
        settings: Settings,
        *,
        noise_of: Callable[[int], NoiseSource] | None = None,
    ) -> np.ndarray:
        """Final latents of the complete video, float32 (1, T, h, w, C).

        Args:
          frames_FHWC: uint8 pixels, as many as `plan_windows` pads to; holes black.
          holes_FHW: bool, True = hole.
          prompt: embeddings from `encode_prompt`.
          settings: of the run.
          noise_of: see `windows`.
        """
        events = self.windows(PaddedArrays(frames_FHWC, holes_FHW), prompt, settings, noise_of=noise_of)
        finals = [np.asarray(e.carry.latents_BThwC) for e in events if isinstance(e, loop.WindowDone)]
        return stitch(finals, settings.overlap_latents, reference=settings.mode == "reference")

    def decode(self, latents_BThwC: np.ndarray) -> np.ndarray:
        """Pixels of scaled latents, float32 (B, F, H, W, 3), not clamped."""
        chunks = StreamDecoder(self.models, self.params, latents_BThwC.shape[1]).add(latents_BThwC)
        return np.concatenate(list(chunks), axis=1)

    def window_prompts(self, texts: Sequence[str], negative: str = "") -> list[Prompt]:
        """Embeddings of each window's prompt. Each is what `encode_prompt` makes, bit for bit, whatever the others."""
        distinct = list(dict.fromkeys(texts))
        if len(distinct) == 1:
            return [self.encode_prompt(texts[0], negative)] * len(texts)
        pairs = self.encode_prompts([part for text in distinct for part in (text, negative)], 2)
        known = {text: Prompt(*pairs[2 * k : 2 * k + 2]) for k, text in enumerate(distinct)}
        return [known[text] for text in texts]

    def _windows_of(self, request: Request, prompt: str | Prompt | Prompts, negative: str) -> Iterator[loop.Event]:
        if not isinstance(prompt, Prompts):
            return self.windows(request.padded, self.embeddings(prompt, negative), request.settings, plan=request.plan)
        texts = prompt.texts(request.plan, request.settings, request.video)
        prompts = self.window_prompts(texts, negative)
        return self.windows(request.padded, prompts, request.settings, plan=request.plan)


def _words(
    task: str, prompt: str | Prompt | Prompts | None, negative: str | None
) -> tuple[str | Prompt | Prompts, str]:
    """The prompt and the negative prompt; where none are given, those of the task."""
    if prompt is None and task != REMOVE:
        raise UserError("expected a prompt: what the finished video shows, or `task` remove")
    return BACKGROUND if prompt is None else prompt, negative_of(task, negative)
