"""The whole path on real files: published layout -> convert -> prompt -> sample.py -> video, pictures, record."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import transformers
from PIL import Image

import vp_jax
from tests import clip_files
from tests.compare import GOLDEN
from tests.test_configs import config_of
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.media.video import read_video
from vp_jax.runs.train import train
from vp_jax.training.stages import registry

NANO = Path(vp_jax.__path__[0]) / "nano"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The golden tiny models with a tiny text encoder, converted."""
    source, out = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("converted") / "tiny"
    width = json.loads((GOLDEN / "transformer" / "config.json").read_text())["text_embed_dim"]
    for part in ("transformer", "branch", "vae", "id_adapter"):
        shutil.copytree(GOLDEN / part, source / part)
    (source / "scheduler").mkdir()
    (source / "scheduler" / "scheduler_config.json").write_text(
        json.dumps(
            {
                "_class_name": "CogVideoXDPMScheduler",
                "beta_start": 0.00085,
                "beta_end": 0.012,
                "snr_shift_scale": 1.0,
                "beta_schedule": "scaled_linear",
                "prediction_type": "v_prediction",
                "rescale_betas_zero_snr": True,
                "timestep_spacing": "trailing",
                "num_train_timesteps": 1000,
                "clip_sample": False,
            }
        )
    )
    config = transformers.T5Config(
        vocab_size=60,
        d_model=width,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    transformers.T5EncoderModel(config).save_pretrained(source / "text_encoder")
    (source / "tokenizer").mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a ball rolls over green grass", "the sky is blue"] * 50),
        model_prefix=str(source / "tokenizer" / "spiece"),
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    assert not run(["convert", "all", str(source), str(out), "--dtype", "float32"])
    return out


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Seven frames of an odd size and their mask, as folders."""
    folder = tmp_path_factory.mktemp("clip")
    frames, mask = clip_files.moving(7, 50, 70), np.zeros((50, 70), np.uint8)
    mask[10:30, 20:45] = 255
    (folder / "frames").mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / "frames" / f"{i:05d}.png")
    Image.fromarray(mask).save(folder / "mask.png")
    return folder, frames, mask > 0


def arguments(checkpoint, folder, out, *more):
    return [
        "--checkpoint",
        str(checkpoint),
        "--video",
        str(folder / "frames"),
        "--mask",
        str(folder / "mask.png"),
        "--out",
        str(out),
        "--steps",
        "2",
        "--precision",
        "float32",
        *more,
    ]


@pytest.mark.slow
def test_prompt_to_files(checkpoint, clip, tmp_path):
    folder, frames, hole = clip
    out = tmp_path / "result.mkv"
    assert run(["sample", *arguments(checkpoint, folder, out, "--prompt", "a ball rolls")]) == 0
    result, fps = read_video(out)
    assert result.shape == frames.shape and fps == 8
    np.testing.assert_array_equal(result[:, ~hole], frames[:, ~hole])
    assert np.abs(result[:, hole].astype(int) - frames[:, hole]).mean() > 5
    with Image.open(tmp_path / "result_contact.png") as sheet:
        assert sheet.width > 500
    assert len(read_video(tmp_path / "result_comparison.mp4")[0]) == 7
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["settings"]["steps"] == 2 and record["frames"] == 7

    # the prompt matters: another one gives another hole
    assert run(["sample", *arguments(checkpoint, folder, tmp_path / "other.mkv", "--prompt", "the sky is blue")]) == 0
    other, _ = read_video(tmp_path / "other.mkv")
    assert (other[:, hole] != result[:, hole]).any()


def test_a_model_of_fixed_size_names_other_sizes(checkpoint, clip, tmp_path):
    cfg = json.loads((GOLDEN / "transformer" / "config.json").read_text())
    height, width = 8 * cfg["sample_height"], 8 * cfg["sample_width"]
    with pytest.raises(UserError, match=f"this model runs at {height} x {width} only"):
        run(
            [
                "sample",
                *arguments(checkpoint, clip[0], tmp_path / "x.mp4", "--prompt", "a", "--height", str(height // 2)),
            ]
        )


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage for stage in registry.STAGES if stage != "style_lora"])
def test_the_export_of_every_stage_is_a_folder_that_sampling_reads(stage, checkpoint, clip, one_device, tmp_path):
    """That of `style_lora` is an adapter, see `tests.training.stages.test_style_lora`."""
    generates = stage in ("backbone", "joint")  # from the VAE on
    config = config_of("nano_backbone" if generates else "tiny")
    config.steps, config.validation.every, config.model.stage = 2, 0, stage
    config.model.checkpoint = str(NANO if generates else checkpoint)
    config.data.update(kind="synthetic", synthetic_clips=8)
    config.loader.update(batch_size=1)
    config.optimizer.warmup = 0
    if generates:
        config.model.tokenizer = str(NANO / "tokenizer" / "spiece.model")
    if stage == "vae":
        config.model.init_from = str(checkpoint / "vae")
    assert train(config, tmp_path / "run") == 0
    folder, frames, hole = clip
    words = ["--prompt", "a ball rolls", "--steps", "1"]
    assert run(["sample", *arguments(tmp_path / "run" / "export", folder, tmp_path / "out.mkv", *words)]) == 0
    result, _ = read_video(tmp_path / "out.mkv")
    assert result.shape == frames.shape and (result[:, hole] != frames[:, hole]).any()
    np.testing.assert_array_equal(result[:, ~hole], frames[:, ~hole])


@pytest.mark.slow
def test_an_export_that_sampling_cannot_read_alone_names_what_it_needs(one_device, tmp_path, capsys):
    """The autoencoder from scratch is the first stage: nothing else is there yet."""
    config = config_of("tiny")
    config.steps, config.validation.every, config.model.stage = 1, 0, "vae"
    config.loader.update(batch_size=1, frames=1, height=16, width=16)
    assert train(config, tmp_path / "run") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "model written to" in line and "sampling also needs transformer, branch" in line
    assert f"--config.model.checkpoint={tmp_path / 'run' / 'export'}" in line
