"""SAM 2, EdgeTAM and SAM 3 through transformers, streaming; weights from a folder or a hub id that the user names.

A session of transformers keeps features of every frame; here the old ones are let go, so that memory does not grow with
the length of a video: SAM 2 looks back 7 frames with its memory and 16 with its object pointers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.segment.detection import Detector
from vp_jax.segment.loading import pretrained, torch_device, transformers_classes
from vp_jax.segment.prompts import AnyPrompt, Box, FirstMask, Placed, Point, Scribble, Words, described, things_of
from vp_jax.segment.results import Tracked

LOOKS_BACK = 32
"""Frames whose features a session keeps."""
LEAST_PRESENCE = 0.5
"""Probability of a thing to be in sight below which it is lost."""


class Sam2:
    """`vp_jax.segment.results.Backend` over `Sam2VideoModel` or `EdgeTamVideoModel`: boxes, points, masks.

    Args:
      weights: folder or hub id of model and processor.
      kind: class of the model.
      backend: its name in errors.
      device: of torch.
    """

    def __init__(
        self, weights: str | None, kind: str = "Sam2VideoModel", backend: str = "sam2_video", device: str | None = None
    ) -> None:
        model, processor = transformers_classes(backend, weights, kind, "Sam2VideoProcessor")
        self._name, self._device = backend, device or torch_device()
        self._model = pretrained(model, weights).to(self._device).eval()
        self._processor = pretrained(processor, weights)

    def track(self, frames: Iterable[np.ndarray], prompts: Sequence[AnyPrompt]) -> Iterator[Tracked]:
        """See `vp_jax.segment.results.Backend`.

        Raises:
          UserError: words.
        """
        for prompt in prompts:
            if isinstance(prompt, Words):
                raise UserError(
                    f"{described(prompt)}: {self._name} does not understand words; give a box or points, "
                    "or use sam3_video or grounding_dino"
                )
        placed = [prompt for prompt in prompts if not isinstance(prompt, Words)]
        session = self._processor.init_video_session(inference_device=self._device)
        for number, frame_HWC in enumerate(frames):
            inputs = self._processor(images=frame_HWC, return_tensors="pt").to(self._device)
            session.add_new_frame(inputs.pixel_values[0], number)
            here = [prompt for prompt in placed if prompt.frame == number]
            for thing in things_of(here):
                own = [prompt for prompt in here if prompt.thing == thing]
                self._processor.add_inputs_to_inference_session(
                    session, number, thing, original_size=frame_HWC.shape[:2], **session_inputs(own)
                )
            if not session.get_obj_num():
                yield Tracked(number, np.zeros(frame_HWC.shape[:2], np.uint8), {})
                continue
            yield self._tracked(session, number, frame_HWC.shape[:2])
            forget(session, number - LOOKS_BACK, {prompt.frame for prompt in placed})

    def _tracked(self, session: Any, number: int, size: tuple[int, int]) -> Tracked:
        import torch

        with torch.inference_mode():
            out = self._model(session, frame_idx=number)
        logits = self._processor.post_process_masks([out.pred_masks], [list(size)], binarize=False)[0][:, 0]
        presence = torch.sigmoid(out.object_score_logits.float().reshape(-1)).tolist()
        names = [int(name) for name in out.object_ids]
        lost = frozenset(name for name, sure in zip(names, presence) if sure < LEAST_PRESENCE)
        labels_HW = labelled(logits.float().cpu().numpy(), names, lost)
        return Tracked(number, labels_HW, dict(zip(names, presence)), lost)


class Sam3:
    """`vp_jax.segment.results.Backend` over `Sam3VideoModel`: words, every instance of which becomes one thing.

    Args:
      weights: folder or hub id of model and processor.
      device: of torch.
    """

    def __init__(self, weights: str | None, device: str | None = None) -> None:
        model, processor = transformers_classes("sam3_video", weights, "Sam3VideoModel", "Sam3VideoProcessor")
        self._device = device or torch_device()
        self._model = pretrained(model, weights).to(self._device).eval()
        self._processor = pretrained(processor, weights)

    def track(self, frames: Iterable[np.ndarray], prompts: Sequence[AnyPrompt]) -> Iterator[Tracked]:
        """See `vp_jax.segment.results.Backend`.

        Raises:
          UserError: a prompt that is not words.
        """
        import torch

        words: dict[str, list[int]] = {}
        for prompt in prompts:
            if not isinstance(prompt, Words):
                raise UserError(f"{described(prompt)}: sam3_video takes words; use sam2_video for boxes and points")
            words.setdefault(prompt.text, []).append(prompt.thing)
        session = self._processor.init_video_session(inference_device=self._device)
        self._processor.add_text_prompt(session, list(words))
        for number, frame_HWC in enumerate(frames):
            inputs = self._processor(images=frame_HWC, return_tensors="pt").to(self._device)
            with torch.inference_mode():
                out = self._model(session, frame=inputs.pixel_values[0])
            found = self._processor.postprocess_outputs(session, out, original_sizes=inputs.original_sizes)
            yield named_by_words(number, found, words, frame_HWC.shape[:2])
            for old in [frame for frame in session.processed_frames or {} if frame < number - LOOKS_BACK]:
                del session.processed_frames[old]


class Grounded:
    """Boxes of words from Grounding DINO in the first frame, tracked by SAM 2.

    Args:
      weights: folder or hub id of Grounding DINO.
      sam2: the same of SAM 2.
      threshold: least score of a box.
      device: of torch.
    """

    def __init__(
        self, weights: str | None, sam2: str | None = None, threshold: float = 0.3, device: str | None = None
    ) -> None:
        self._detector = Detector(weights, threshold, device)
        if sam2 is None:
            raise UserError("backend grounding_dino: no `sam2` given, expected the folder or hub id of SAM 2's weights")
        self._tracker = Sam2(sam2, device=device)

    def track(self, frames: Iterable[np.ndarray], prompts: Sequence[AnyPrompt]) -> Iterator[Tracked]:
        """See `vp_jax.segment.results.Backend`; prompts that are no words go to SAM 2.

        Raises:
          UserError: words for which nothing is found in the first frame.
        """
        stream = iter(frames)
        first_HWC = next(stream)
        placed = [self._box(prompt, first_HWC) if isinstance(prompt, Words) else prompt for prompt in prompts]
        yield from self._tracker.track(_chained(first_HWC, stream), placed)

    def _box(self, words: Words, frame_HWC: np.ndarray) -> Box:
        (found,) = self._detector.boxes([frame_HWC], [words.text])
        if not found:
            raise UserError(f"{described(words)}: not found in the first frame by grounding_dino; give a box or points")
        best = found[0]
        return Box(best.x, best.y, best.width, best.height, 0, words.thing)


def session_inputs(prompts: Sequence[Placed]) -> dict[str, Any]:
    """Prompts of one thing on one frame as a session of SAM 2 takes them; a mask stands for itself alone."""
    for prompt in reversed(prompts):
        if isinstance(prompt, FirstMask):
            return {"input_masks": [np.asarray(prompt.mask_HW, np.float32)]}
    points: list[list[float]] = []
    labels: list[int] = []
    inputs: dict[str, Any] = {}
    for prompt in prompts:
        if isinstance(prompt, Box):
            inputs["input_boxes"] = [[[prompt.x, prompt.y, prompt.x + prompt.width, prompt.y + prompt.height]]]
        elif not isinstance(prompt, FirstMask):
            own = np.array([[prompt.x, prompt.y]]) if isinstance(prompt, Point) else _along(prompt)
            points += own.tolist()
            labels += [int(prompt.inside)] * len(own)
    if points:
        inputs |= {"input_points": [[points]], "input_labels": [[labels]]}
    return inputs


def labelled(logits: np.ndarray, names: Sequence[int], lost: frozenset[int]) -> np.ndarray:
    """Label map (H, W) uint8 of logits (things, H, W): the thing with the largest logit above 0 that is not lost."""
    labels_HW = np.zeros(logits.shape[1:], np.uint8)
    best_HW = np.zeros(logits.shape[1:], np.float32)
    for name, own_HW in zip(names, logits):
        if name not in lost:
            taken = own_HW > best_HW
            labels_HW[taken], best_HW[taken] = name, own_HW[taken]
    return labels_HW


def named_by_words(number: int, found: dict[str, Any], words: dict[str, list[int]], size: tuple[int, int]) -> Tracked:
    """What SAM 3 found in a frame: all instances of a phrase together are its thing."""
    ids = [int(name) for name in found["object_ids"]]
    labels_HW, confidence = np.zeros(size, np.uint8), {thing: 0.0 for things in words.values() for thing in things}
    for text, things in words.items():
        for name in found["prompt_to_obj_ids"].get(text, []):
            place = ids.index(int(name))
            labels_HW[found["masks"][place].cpu().numpy().astype(bool)] = things[0]
            confidence[things[0]] = max(confidence[things[0]], float(found["scores"][place]))
    return Tracked(number, labels_HW, confidence, frozenset(name for name, sure in confidence.items() if not sure))


def forget(session: Any, before: int, kept: set[int]) -> None:
    """Let go of a session's frames and outputs before a number, but for prompted frames."""
    stores = [session.processed_frames or {}]
    stores += [outputs["non_cond_frame_outputs"] for outputs in session.output_dict_per_obj.values()]
    for store in stores:
        for old in [frame for frame in store if frame < before and frame not in kept]:
            del store[old]


def _along(scribble: Scribble) -> np.ndarray:
    """Up to 16 points of a scribble's corners."""
    corners = np.asarray(scribble.points_N2, float)
    chosen = np.unique(np.linspace(0, len(corners) - 1, min(16, len(corners))).round().astype(int))
    return np.asarray(corners[chosen])


def _chained(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest
