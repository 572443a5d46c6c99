"""Do the tests notice faults? Each mutant is a copy of the tree with one small fault; its tests have to fail.

    python -m tests.mutants                    all of them
    python -m tests.mutants ema text_hints     some
    python -m tests.mutants --list             the table of docs/testing.md

Before a mutant counts, its tests pass without it. Exit status 1 if a mutant survives.
"""

from __future__ import annotations

import sys

from tests.long_video_mutants import LONG_VIDEOS
from tests.mutant import Mutant

MUTANTS = (
    # knobs whose tested value used to be a special one
    Mutant(
        "ema",
        "the moving average takes the weights, not their average",
        "vp_jax/training/step.py",
        "incremental_update(params, ema, 1.0 - cfg.ema_decay)",
        "incremental_update(params, ema, cfg.ema_decay)",
        "tests/training/test_step.py -k average",
    ),
    Mutant(
        "padding",
        "a video is padded with its first frames",
        "vp_jax/inference/padded.py",
        'np.pad(frames, (*padding, (0, 0)), mode="edge")',
        'np.pad(frames, (*padding, (0, 0)), mode="wrap")',
        "tests/inference/test_padded.py",
    ),
    Mutant(
        "blur",
        "every second brush mask is smoothed, not one in ten",
        "vp_jax/data/augment.py",
        "blurred = rng.random() < 0.1",
        "blurred = rng.random() < 0.5",
        "tests/data/test_augment.py",
    ),
    Mutant(
        "flicker",
        "a moving shape sees its own frame only",
        "vp_jax/data/augment.py",
        "boxes[max(0, place - 2) : place + 3]",
        "boxes[place : place + 1]",
        "tests/data/test_augment.py",
    ),
    Mutant(
        "id_scale",
        "id_scale multiplies the stored scale",
        "vp_jax/inference/load.py",
        "scale=factor if cfg.extra_keys else cfg.scale * factor",
        "scale=cfg.scale * factor",
        "tests/inference/test_load.py",
    ),
    Mutant(
        "first_frame",
        "a given first frame keeps its hole",
        "vp_jax/inference/padded.py",
        "        holes[0] = False\n",
        "        pass\n",
        "tests/inference/test_padded.py",
    ),
    # models
    Mutant(
        "text_hints",
        "text tokens receive hints",
        "vp_jax/models/injection.py",
        "joint_mask(stopped_BN, text_len, text=True)",
        "joint_mask(stopped_BN, text_len, text=False)",
        "tests/models/test_injection.py",
    ),
    Mutant(
        "hint_groups",
        "layers are divided into groups by floor, not by ceil",
        "vp_jax/models/injection.py",
        "(index // -(-layers // groups))",
        "np.minimum(index // (layers // groups), groups - 1)",
        "tests/models/test_injection.py",
    ),
    Mutant(
        "previous_mask",
        "previous keys are gated by this window's mask",
        "vp_jax/models/id_resample.py",
        "masked_BS = resample.previous.masked_BS",
        "masked_BS = resample.masked_BS",
        "tests/models/test_id_resample.py",
    ),
    Mutant(
        "one_text_token",
        "the first video token is modulated as text",
        "vp_jax/models/layers.py",
        "jnp.arange(seq_len) < text_len",
        "jnp.arange(seq_len) <= text_len",
        "tests/models/test_layers.py",
    ),
    Mutant(
        "crop_offset",
        "a grid of another shape is not centred",
        "vp_jax/models/rope.py",
        "round((BASE_COLUMNS - width) / 2.0), width",
        "0, width",
        "tests/models/test_rope.py",
    ),
    Mutant(
        "branch_start",
        "the masked-video part starts without weights",
        "vp_jax/models/branch.py",
        "jnp.concatenate([latent_VD, latent_VD, mask_VD])",
        "jnp.concatenate([latent_VD, jnp.zeros_like(latent_VD), mask_VD])",
        "tests/models/test_branch.py",
    ),
    Mutant(
        "merge_scale",
        "merging forgets the scale of an adapter",
        "vp_jax/models/lora.py",
        "total + scale * jnp.matmul(a, b",
        "total + jnp.matmul(a, b",
        "tests/models/test_lora.py",
    ),
    Mutant(
        "position_sign",
        "a token's own position counts as later",
        "vp_jax/models/t5.py",
        "side * (offset_MM > 0)",
        "side * (offset_MM >= 0)",
        "tests/models/test_t5.py",
    ),
    Mutant(
        "time_cache",
        "the cache keeps the first frames of a chunk",
        "vp_jax/models/vae/convs.py",
        "self._future.append(x_BFHWC[:, -2:])",
        "self._future.append(x_BFHWC[:, :2])",
        "tests/models/vae/test_convs.py tests/models/vae/test_vae.py",
    ),
    Mutant(
        "tile_fade",
        "tiles fade in the wrong direction",
        "vp_jax/models/vae/tiling.py",
        "old * (1 - weight) + new * weight",
        "old * weight + new * (1 - weight)",
        "tests/models/vae/test_tiling.py",
    ),
    # diffusion
    Mutant(
        "timestep_list",
        "timesteps begin at 1000",
        "vp_jax/diffusion/schedule.py",
        ".astype(np.int64)[:steps] - 1",
        ".astype(np.int64)[:steps]",
        "tests/diffusion/test_schedule.py",
    ),
    Mutant(
        "next_entry",
        "DDIM steps to another timestep",
        "vp_jax/diffusion/steps.py",
        "return [t - schedule.num_timesteps // steps for t in timesteps]",
        "return [t - round(schedule.num_timesteps / steps) for t in timesteps]",
        "tests/diffusion/test_steps.py",
    ),
    Mutant(
        "second_order",
        "the second-order term is doubled",
        "vp_jax/diffusion/steps.py",
        "h / (2 * (lam_t - _log_snr(abar_back)))",
        "h / (lam_t - _log_snr(abar_back))",
        "tests/diffusion/test_steps.py",
    ),
    Mutant(
        "background_noise",
        "the background is noised to this timestep",
        "vp_jax/diffusion/steps.py",
        "following = np.append(abar[1:], 1.0)",
        "following = abar",
        "tests/diffusion/test_steps.py",
    ),
    Mutant(
        "guidance_order",
        "prompt and negative prompt are swapped",
        "vp_jax/diffusion/guidance.py",
        "negative, positive = pair[:half], pair[half:]",
        "positive, negative = pair[:half], pair[half:]",
        "tests/diffusion/test_guidance.py",
    ),
    Mutant(
        "hole_mean",
        "the loss of the hole is divided by its area",
        "vp_jax/diffusion/loss.py",
        "hole = weight_B * (jnp.square(mask)[..., None] * squared).mean(axis=axes)",
        "hole = weight_B * (jnp.square(mask)[..., None] * squared).sum(axis=axes) / (mask.sum() + 1e-6)",
        "tests/diffusion/test_loss.py",
    ),
    Mutant(
        "shared_draws",
        "the first steps share their noise with the named draws",
        "vp_jax/diffusion/noise.py",
        "jax.random.fold_in(self.key, index + len(DRAW_NAMES))",
        "jax.random.fold_in(self.key, index)",
        "tests/diffusion/test_noise.py",
    ),
    Mutant(
        "edited_history",
        "the second-order term sees the replaced background",
        "vp_jax/diffusion/sampler.py",
        "LoopState(x if after_step is None else after_step(x, row), x0, state.estimates), extra",
        "LoopState(*(a if after_step is None else after_step(a, row) for a in (x, x0)), state.estimates), extra",
        "tests/diffusion/test_sampler.py",
    ),
    *LONG_VIDEOS,
    # data
    Mutant(
        "last_window",
        "the last window of a clip is never chosen",
        "vp_jax/data/clips.py",
        "rng.integers(0, kept - self.frames + 1)",
        "rng.integers(0, max(1, kept - self.frames))",
        "tests/data/test_clips.py",
    ),
    Mutant(
        "image_dropout",
        "the image condition is dropped twice as often",
        "vp_jax/data/clips.py",
        "rng.random() >= self.dropout",
        "rng.random() >= 2 * self.dropout",
        "tests/data/test_clips.py",
    ),
    Mutant(
        "process_rows",
        "every process takes the rows of the first",
        "vp_jax/data/pipeline.py",
        "parent, batch, rows, index * rows",
        "parent, batch, rows, 0",
        "tests/data/test_pipeline.py",
    ),
    Mutant(
        "seeded_examples",
        "draws no longer depend on the example",
        "vp_jax/data/pipeline.py",
        "np.random.default_rng([base, attempt, stream])",
        "np.random.default_rng([attempt, stream])",
        "tests/data/test_pipeline.py",
    ),
    Mutant(
        "covered_cells",
        "holes grow to cells in space but not in time",
        "vp_jax/models/latent_grid.py",
        "cells_Fhw[group_F == group].max(0)",
        "cells_Fhw[group_F == group][0]",
        "tests/models/test_latent_grid.py",
    ),
    Mutant(
        "edit_hole",
        "the hole of an edit leaves out the new thing",
        "vp_jax/world/edit.py",
        "hole_FHW |= after.reach(edit.thing)",
        "hole_FHW |= 0",
        "tests/world/test_edit.py",
    ),
    Mutant(
        "excluded",
        "clips of steps that were not finite come back",
        "vp_jax/data/pipeline.py",
        "if name in self.excluded:",
        "if False:",
        "tests/data/test_loader_config_effects.py -k excluded",
    ),
    # training
    Mutant(
        "bad_step",
        "a step that is not finite changes the weights",
        "vp_jax/training/step.py",
        "finite = jnp.isfinite(mean) & jnp.isfinite(norm)",
        "finite = jnp.bool_(True)",
        "tests/training/test_step.py -k finite",
    ),
    Mutant(
        "even_latents",
        "of an even number of latents the first becomes four frames",
        "vp_jax/models/vae/vae.py",
        "if latents_BThwC.shape[1] % 2 == 0:",
        "if False:",
        "tests/models/vae/test_vae.py -k its_length",
    ),
    # conversion, checkpoints, metrics
    Mutant(
        "filled_twice",
        "two tensors may fill one slot",
        "convert/engine.py",
        "        if slot in filled:\n",
        "        if False:\n",
        "tests/convert/test_engine.py",
    ),
    Mutant(
        "unfilled",
        "a slot may stay empty",
        "convert/engine.py",
        "for slot in empty if slot not in filled]",
        "for slot in empty if False]",
        "tests/convert/test_engine.py",
    ),
    Mutant(
        "lora_alpha",
        "the alpha of a LoRA file is not divided by its rank",
        "convert/lora_scale.py",
        "    return alpha / rank\n",
        "    return alpha\n",
        "tests/convert/test_lora.py",
    ),
    Mutant(
        "snr_default",
        "a scheduler file without a shift gets 1",
        "convert/scheduler.py",
        '("snr_shift", 3.0)',
        '("snr_shift", 1.0)',
        "tests/convert/test_scheduler.py",
    ),
    Mutant(
        "stored_digests",
        "weights are read without comparing their digests",
        "vp_jax/checkpoint/weights.py",
        "digests.raise_if(array_digests.changed_arrays(known.arrays, array_digests.of_arrays(restored)), what, _AGAIN)",
        "pass",
        "tests/checkpoint/test_weights.py",
    ),
    Mutant(
        "psnr_region",
        "PSNR is that of the complete frames",
        "vp_jax/eval/video_metrics.py",
        "np.square(truth_FHWC[region_FHW].astype(np.float64) - result_FHWC[region_FHW]).mean()",
        "np.square(truth_FHWC.astype(np.float64) - result_FHWC).mean()",
        "tests/eval/test_video_metrics.py",
    ),
)


if __name__ == "__main__":
    from tests.mutation import main

    sys.exit(main())
