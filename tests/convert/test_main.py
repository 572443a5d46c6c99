"""The command line on reference checkpoints: every part there and back, resuming, refusals."""

import json
import shutil
import subprocess
import sys

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vp_jax import checkpoint, trees
from vp_jax.cli.main import run
from vp_jax.cli.program import run_cli
from vp_jax.convert import files, layout, parts
from vp_jax.convert.kinds import MODELS
from vp_jax.errors import UserError
from vp_jax.models import config
from vp_jax.reading import read_json

WEIGHTS = "diffusion_pytorch_model.safetensors"
T5 = {
    "d_model": 8,
    "d_kv": 4,
    "d_ff": 16,
    "num_layers": 2,
    "num_heads": 2,
    "vocab_size": 11,
    "relative_attention_num_buckets": 4,
    "relative_attention_max_distance": 16,
    "feed_forward_proj": "gated-gelu",
}


def main(argv):
    """``vp-jax convert`` in this process."""
    return run(["convert", *argv])


def text_encoder(folder):
    """A random T5 of the original's names, in two shards."""
    from transformers import T5Config, T5EncoderModel

    model = T5EncoderModel(T5Config(**T5, is_encoder_decoder=False, use_cache=False))
    model.save_pretrained(folder, max_shard_size=2000)
    assert (folder / "model.safetensors.index.json").is_file()
    return {k: v.numpy() for k, v in model.state_dict().items()}


@pytest.fixture
def download(tmp_path, golden):
    """The folders of the original download, with the reference's tiny weights."""
    root = tmp_path / "ckpt"
    base = root / "CogVideoX-5b-I2V"
    shutil.copytree(golden / "transformer", base / "transformer")
    shutil.copytree(golden / "vae", base / "vae")
    text_encoder(base / "text_encoder")
    (base / "scheduler").mkdir()
    (base / "scheduler" / "scheduler_config.json").write_text(
        json.dumps(
            {
                "_class_name": "CogVideoXDDIMScheduler",
                "clip_sample": False,
                "prediction_type": "v_prediction",
                "rescale_betas_zero_snr": True,
                "snr_shift_scale": 1.0,
                "timestep_spacing": "trailing",
            }
        )
    )
    (base / "tokenizer").mkdir()
    for name in ("spiece.model", "tokenizer_config.json"):
        (base / "tokenizer" / name).write_bytes(name.encode())
    shutil.copytree(golden / "branch", root / "VideoPainter" / "checkpoints" / "branch")
    shutil.copytree(golden / "id_adapter", root / "VideoPainterID" / "checkpoints")
    (root / "flux_inp" / "transformer").mkdir(parents=True)
    (root / "flux_inp" / "transformer" / "config.json").write_text('{"_class_name": "FluxTransformer2DModel"}')
    return root


def rows(text):
    return {line.split()[0]: line for line in text.splitlines()[1:]}


@pytest.mark.slow
def test_whole_checkpoint_there_and_back(download, tmp_path, golden, capsys):
    out = tmp_path / "out"
    assert main(["all", str(download), str(out), "--dtype", "stored"]) == 0
    report = rows(capsys.readouterr().out)
    assert set(report) == set(layout.PARTS)
    factors = load_file(golden / "id_adapter" / "pytorch_lora_weights.safetensors")
    rank = factors["transformer.transformer_blocks.0.attn1.to_q.lora_A.weight"].shape[0]
    assert "10 not used: " in report["branch"] and f"rank {rank}" in report["id_adapter"]
    for part in [part for part in MODELS if part in layout.PARTS]:
        cfg = config.from_json(checkpoint.load_config(out / part))
        shapes = MODELS[part].abstract(cfg)
        params = checkpoint.load_params(out / part, shapes)
        assert len(trees.flatten(params)) == len(trees.flatten(shapes))
    assert (out / "tokenizer" / "spiece.model").read_bytes() == b"spiece.model"
    back = tmp_path / "back"
    originals = layout.find_parts(download)
    for part in layout.PARTS:
        if part == "tokenizer":
            continue
        assert main(["export", part, str(out / part), str(back / part)]) == 0
        if part == "scheduler":
            assert read_json(back / part / "scheduler_config.json") == read_json(
                originals[part] / "scheduler_config.json"
            )
            continue
        got, want = files.read_tensors(back / part), files.read_tensors(originals[part])
        assert set(got) == set(want), part
        for key in want:
            assert got[key].dtype == want[key].dtype
            assert np.asarray(got[key]).tobytes() == np.asarray(want[key]).tobytes(), key
        if part in MODELS:
            assert read_json(back / part / "config.json") == read_json(originals[part] / "config.json")


@pytest.mark.slow
def test_exports_load_into_the_original_programs(download, tmp_path):
    from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
    from transformers import T5EncoderModel

    out, back = tmp_path / "out", tmp_path / "back"
    main(["all", str(download), str(out)])
    for part, original in (
        ("transformer", CogVideoXTransformer3DModel),
        ("vae", AutoencoderKLCogVideoX),
        ("text_encoder", T5EncoderModel),
    ):
        main(["export", part, str(out / part), str(back / part)])
        model, info = original.from_pretrained(back / part, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
        assert sum(p.numel() for p in model.parameters()) > 0


def test_bfloat16_by_default_adapters_as_stored(download, tmp_path, golden):
    out = tmp_path / "out"
    main(["all", str(download), str(out)])
    assert checkpoint.load_config(out / "transformer")["param_dtype"] == "bfloat16"
    assert checkpoint.load_config(out / "branch")["dit"]["param_dtype"] == "bfloat16"
    params = checkpoint.load_params(out / "branch")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(ml_dtypes.bfloat16)}
    stored = load_file(golden / "branch" / WEIGHTS)
    np.testing.assert_array_equal(
        np.asarray(params["zero"]["kernel"][0]), stored["branch_blocks.0.weight"].T.astype(ml_dtypes.bfloat16)
    )
    adapter = checkpoint.load_params(out / "id_adapter")
    kept = load_file(golden / "id_adapter" / "pytorch_lora_weights.safetensors")
    assert {leaf.dtype for leaf in jax.tree.leaves(adapter)} == {x.dtype for x in kept.values()}


def test_finished_parts_are_kept_and_interrupted_ones_redone(download, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    converted = []
    real = parts.engine.Leaf.fill

    def interrupted(leaf, source, array):
        converted.append(leaf)
        if len(converted) == 60:  # in the context encoder
            raise KeyboardInterrupt
        return real(leaf, source, array)

    monkeypatch.setattr(parts.engine.Leaf, "fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(["all", str(download), str(out)])
    monkeypatch.undo()
    assert parts.is_complete(out / "transformer") and not parts.is_complete(out / "branch")
    with pytest.raises(UserError, match="no config"):
        checkpoint.load_config(out / "branch")
    stamp = (out / "transformer" / "config.json").stat().st_mtime_ns
    capsys.readouterr()
    main(["all", str(download), str(out)])
    report = rows(capsys.readouterr().out)
    assert "kept" in report["transformer"] and "kept" not in report["branch"]
    assert (out / "transformer" / "config.json").stat().st_mtime_ns == stamp
    assert sorted(p.name for p in (out / "branch").iterdir()) == [
        "config.json",
        "digests.json",
        "params",
        "torch_config.json",
        "unused.safetensors",
    ]
    checkpoint.load_params(out / "branch")
    main(["all", str(download), str(out)])
    assert all("kept" in line for line in rows(capsys.readouterr().out).values())
    main(["all", str(download), str(out), "--force"])
    assert (out / "transformer" / "config.json").stat().st_mtime_ns != stamp
    with pytest.raises(UserError, match="already converted in bfloat16, --dtype is float32"):
        main(["all", str(download), str(out), "--dtype", "float32"])


def test_flat_folder_with_absent_parts(tmp_path, golden, capsys):
    for part in ("transformer", "branch"):
        shutil.copytree(golden / part, tmp_path / "in" / part)
    main(["all", str(tmp_path / "in"), str(tmp_path / "out")])
    report = rows(capsys.readouterr().out)
    assert {part for part, line in report.items() if line.endswith("absent")} == set(layout.PARTS) - {
        "transformer",
        "branch",
    }
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["branch", "transformer"]


def test_several_backbones_need_a_choice(download, tmp_path, golden):
    shutil.copytree(golden / "transformer_t2v", download / "CogVideoX-5b" / "transformer")
    with pytest.raises(UserError, match="choose one by --base CogVideoX-5b"):
        layout.find_parts(download)
    found = layout.find_parts(download, "CogVideoX-5b-I2V")
    assert found["transformer"] == download / "CogVideoX-5b-I2V" / "transformer"
    with pytest.raises(UserError, match=r"was made for another backbone .* learned_positions True and False"):
        main(["all", str(download), str(tmp_path / "out"), "--base", "CogVideoX-5b"])
    with pytest.raises(UserError, match="--base nothing: neither"):
        layout.find_parts(download, "nothing")


@pytest.mark.parametrize(
    "broken, message",
    [
        ("CogVideoX-5b-I2V/tokenizer/spiece.model", r"has no spiece\.model"),
        ("VideoPainterID/checkpoints/pytorch_lora_weights.safetensors", "not a complete safetensors file"),
        ("CogVideoX-5b-I2V/scheduler/scheduler_config.json", r"scheduler_config\.json is not JSON \(Expecting value"),
    ],
)
def test_nothing_is_written_before_every_part_is_readable(download, tmp_path, broken, message):
    path = download / broken
    if path.name == "spiece.model":
        path.unlink()
    else:
        path.write_bytes(b"")
    with pytest.raises(UserError, match=message):
        main(["all", str(download), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_trained_context_encoder_is_exported_whole(tmp_path, golden):
    """Saved by training: no side files, so the tensors that nobody reads are made anew."""
    values = json.loads((golden / "branch" / "config.json").read_text())
    parts.convert("branch", golden / "branch", tmp_path / "ours")
    for name in (parts.UNUSED, parts.TORCH_CONFIG):
        (tmp_path / "ours" / name).unlink()
    parts.export("branch", tmp_path / "ours", tmp_path / "back")
    got, want = load_file(tmp_path / "back" / WEIGHTS), load_file(golden / "branch" / WEIGHTS)
    assert {k: v.shape for k, v in got.items()} == {k: v.shape for k, v in want.items()}
    exported = read_json(tmp_path / "back" / "config.json")
    assert {k: exported[k] for k in values if k in exported} == {k: v for k, v in values.items() if k in exported}


def test_a_style_adapter(tmp_path):
    draw = np.random.default_rng(0)
    state = {
        f"transformer_blocks.{i}.attn1.to_q.lora_{half}.weight": draw.normal(size=shape).astype(np.float32)
        for i in range(2)
        for half, shape in (("A", (3, 8)), ("B", (8, 3)))
    }
    save_file({f"transformer.{k}": v for k, v in state.items()}, tmp_path / "style.safetensors")
    main(
        [
            "one",
            "lora",
            str(tmp_path / "style.safetensors"),
            str(tmp_path / "ours"),
            "--num_layers",
            "4",
            "--scale",
            "0.5",
        ]
    )
    cfg = config.from_json(checkpoint.load_config(tmp_path / "ours"))
    assert (cfg.rank, cfg.scale, cfg.extra_keys) == (3, 0.5, False)
    params = checkpoint.load_params(tmp_path / "ours")
    assert params["blocks"]["attn"]["to_q"]["lora_a"].shape == (4, 8, 3)
    assert params["blocks"]["attn"]["to_q"]["lora_a"].dtype == np.float32


@pytest.mark.parametrize(
    "argv, message",
    [
        (["all", "{}/nowhere", "{}/out"], "no folder"),
        (["all", "{}/empty", "{}/out"], "no transformer in"),
        (["one", "unet", "{}/a", "{}/b"], "invalid choice: 'unet'"),
        (["all"], "arguments are required"),
        (["one", "vae", "{}/empty", "{}/out"], "config.json: no such file"),
        (["export", "vae", "{}/empty", "{}/out"], "no config.json in"),
        (["export", "vae", "{}/ours", "{}/out"], "holds a scheduler, not a vae"),
        (["one", "transformer", "{golden}/transformer", "{golden}/transformer"], "holds an original checkpoint"),
        (["one", "transformer", "{golden}/transformer", "{golden}/transformer/config.json"], "is a file"),
        (["one", "transformer", "{golden}/branch", "{}/out"], "no rule matches"),
    ],
)
def test_mistakes_are_one_line_and_status_two(argv, message, tmp_path, golden, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "config.json").write_text('{"kind": "scheduler"}')
    argv = [arg.format(tmp_path, golden=golden) for arg in argv]
    with pytest.raises(SystemExit) as stopped:
        run_cli(lambda: main(argv))
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("error: ") and message in err


def test_refusals_of_single_parts(tmp_path, golden, monkeypatch):
    with pytest.raises(UserError, match=r"has no spiece\.model"):
        parts.copy_tokenizer(golden / "vae", tmp_path)
    with pytest.raises(UserError, match="kind 'unet': expected one of transformer"):
        parts.convert("unet", golden, tmp_path)
    monkeypatch.setattr(parts.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(UserError, match="of free space: vae needs"):
        parts.convert("vae", golden / "vae", tmp_path / "out")


def test_a_part_of_another_kind_is_not_overwritten(tmp_path, golden):
    parts.convert("transformer", golden / "transformer", tmp_path / "out")
    before = (tmp_path / "out" / "config.json").read_bytes()
    with pytest.raises(UserError, match="holds a converted dit, not a vae"):
        parts.convert("vae", golden / "vae", tmp_path / "out")
    assert (tmp_path / "out" / "config.json").read_bytes() == before
    with pytest.raises(UserError, match=r"no .*nowhere: expected the folder"):
        parts.convert("vae", tmp_path / "nowhere", tmp_path / "out")


def test_every_fault_of_a_checkpoint_at_once(tmp_path, golden):
    shutil.copytree(golden / "transformer", tmp_path / "in")
    tensors = load_file(tmp_path / "in" / WEIGHTS)
    del tensors["proj_out.bias"], tensors["transformer_blocks.2.attn1.to_q.weight"]
    tensors["mystery"] = np.zeros(3, np.float16)
    tensors["norm_final.bias"] = np.zeros(5, np.float16)
    save_file(tensors, tmp_path / "in" / WEIGHTS)
    with pytest.raises(UserError) as caught:
        parts.convert("transformer", tmp_path / "in", tmp_path / "out")
    for part in (
        "4 faults",
        "- mystery: no rule",
        "+ proj_out/bias (proj_out.bias)",
        "! norm_final.bias: (5,)",
        "+ blocks/attn/to_q/kernel[2] (transformer_blocks.2.attn1.to_q.weight)",
    ):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "convert", "all", str(tmp_path / "nowhere"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
