"""Whole any-length runs with the stored draws: every ``pipeline_*.npz`` of the golden folder."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import GOLDEN, relative_error
from tests.parity import reference as ref
from tests.parity.test_schedulers import used_noise
from vp_jax.diffusion.noise import StoredNoise
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.models.config import Injection

CASES = sorted(path.stem for path in GOLDEN.glob("pipeline_*.npz"))


def draws_of(data, sampler, windows):
    """The stored draws of every window, in the order the reference made them, in our layouts."""
    queue = iter([data[f"draw_{i:03d}"] for i in range(int(data["n_draws"]))])
    from_vae = lambda x: jnp.asarray(x.transpose(0, 2, 3, 4, 1))  # (B, C, T, h, w)  # noqa: E731
    timesteps = Schedule().timesteps(int(data["steps"]))
    sources = []
    for window in range(windows):
        draws = {"image": from_vae(next(queue))} if window == 0 else {}
        draws["video"] = from_vae(next(queue))
        draws["initial"] = ref.channels_last(next(queue))
        draws["masked"] = from_vae(next(queue))
        steps = None
        if sampler == "dpm":
            twice = [i and t - 1000 // len(timesteps) >= 0 for i, t in enumerate(timesteps)]
            taken = [next(queue) for i in range(len(timesteps) + sum(map(bool, twice)))]
            steps = jnp.stack([ref.channels_last(x) for x in used_noise(taken, timesteps)])
        sources.append(StoredNoise(draws, steps))
    assert next(queue, None) is None
    return sources


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_final_latents_and_pixels(golden, case):
    data = ref.arrays(golden / f"{case}.npz")
    sampler = "dpm" if "DPM" in str(data["sampler"]) else "ddim"
    window = int(data["num_frames"])
    settings = Settings(
        steps=int(data["steps"]),
        guidance=float(data["guidance_scale"]),
        sampler=sampler,
        window=window,
        dynamic_guidance=bool(data["use_dynamic_cfg"]),
        overlap=window - int(data["stride"]),
        mode="reference",
        clip_weight=float(data["prev_clip_weight"]),
        replace_background=bool(data["replace_gt"]),
        injection=Injection(float(data.get("conditioning_scale", 1.0))),
    )
    backbone, branch, vae = ref.backbone(golden), ref.branch(golden), ref.vae(golden)
    adapters = [ref.id_adapter(golden, float(data["lora_scale"]))] if data["id_adapter"] else []
    models = Models(backbone[0], branch[0], vae[0], tuple(cfg for cfg, _ in adapters))
    params = {"backbone": backbone[2], "branch": branch[2], "vae": vae[2], "loras": [p for _, p in adapters]}
    pipeline = Pipeline(models, params, Schedule())

    holes = data["masks"] / 255.0 >= 0.5
    frames = np.where(holes[..., None], np.uint8(0), data["frames"])  # the reference was given black holes
    plan = pipeline.plan(len(frames), settings)
    sources = draws_of(data, sampler, len(plan.windows))
    text = Prompt(data["prompt_embeds"][0], data["negative_prompt_embeds"][0])
    latents = pipeline.sample_latents(frames, holes, text, settings, noise_of=lambda k: sources[k])
    assert relative_error(ref.channels_first(latents), data["final_latents"]) <= 1e-4
    pixels = pipeline.decode(latents).transpose(0, 4, 1, 2, 3)
    assert pixels.shape[2] == plan.output_frames
    # the reference decodes one latent frame to 8 equal frames, we to one
    want = data["decoded"][:, :, :1] if latents.shape[1] == 1 else data["decoded"]
    np.testing.assert_allclose(pixels, want, atol=5e-4 * np.abs(want).max())


def test_the_folder_holds_pipelines():
    if not CASES:
        ref.needed(GOLDEN / "pipeline_*.npz")
    assert CASES
