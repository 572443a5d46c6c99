"""The ablation and editing commands on two clips, their pieces on arrays."""

import json
import math

import numpy as np
import pytest

from bench import ablation, editing
from bench.nano import cases, paper, runner
from bench.nano.batched import BatchSampler
from bench.nano.results import Key, Store, inner_tokens, measure
from bench.nano.variants import LONG, SHORT
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.world.synthetic import HELD_OUT, OPERATIONS

SMALL = ["--steps", "2", "--batch", "2"]

# the text encoder of the tests reads few tokens
pytestmark = pytest.mark.filterwarnings("ignore:.* is not read completely")


def test_cases_are_held_out_and_differ_in_the_hole_alone():
    first, second = cases.inpainting(2)
    assert first.name == f"world-{HELD_OUT}" and first.digest != second.digest
    assert first.source_FHWC.shape == (17, 64, 96, 3) and first.holes_FHW.any((1, 2)).sum() > 8
    for operation in OPERATIONS:
        (case,) = cases.edits(operation, 1)
        changed = (case.source_FHWC != case.truth_FHWC).any(-1)
        assert changed.any() and not (changed & ~case.holes_FHW).any(), operation


def test_the_truth_measures_best_and_frame_0_does_not_count():
    (case,) = cases.inpainting(1)
    result = case.truth_FHWC.copy()
    result[0] = 0
    found = measure(case, result, [0])
    assert found["hole_psnr"] == found["background_psnr"] == 100 and found["hole_ssim"] == pytest.approx(1)
    assert math.isnan(found["identity_drift"])


@pytest.mark.slow
def test_the_truth_of_an_edit_shows_it_and_its_source_does_not():
    for operation in OPERATIONS:
        found = list(cases.edits(operation, 5))
        shown = [measure(case, case.truth_FHWC, [0])["edit_shown"] for case in found]
        before = [measure(case, case.source_FHWC, [0])["edit_shown"] for case in found]
        assert sum(shown) >= 4 and sum(before) <= 1, (operation, shown, before)
    (case,) = cases.inpainting(1)
    assert math.isnan(measure(case, case.truth_FHWC, [0])["edit_shown"])


def test_inner_tokens_hold_no_background():
    holes_FHW = np.zeros((5, 32, 48), bool)
    holes_FHW[2, 0:16, 0:17] = True  # frames 1 to 4 are one latent: one whole token, one column of the next
    got = inner_tokens(holes_FHW)
    assert got[1:, :16, :16].all() and got.sum() == 4 * 16 * 16


@pytest.mark.slow
def test_a_batch_is_the_pipeline_clip_by_clip(model):
    """Both ways with the same draws: the batch's first clip alone, through `Pipeline.sample_latents`."""
    pipeline = Pipeline.load(model, precision="float32", id_adapter=False)
    settings = Settings(steps=2, guidance=3.0, dynamic_guidance=False, window=17)
    sampler = BatchSampler(pipeline, settings)
    pair = list(cases.inpainting(2))
    frames, holes = (np.stack([getattr(c, name) for c in pair]) for name in ("source_FHWC", "holes_FHW"))
    text = pipeline.encode_prompts([*(c.prompt for c in pair), ""])
    both = sampler(frames, holes, text[:2], text[2], [7, 8])
    swapped = sampler(frames[::-1], holes[::-1], text[1::-1], text[2], [8, 7])
    assert np.abs(both - swapped[::-1].astype(int)).max() <= 1
    settings = Settings(steps=2, guidance=3.0, dynamic_guidance=False, window=17, seed=7)
    alone = pipeline.inpaint(frames[0], holes[0], Prompt(text[0], text[2]), settings)
    assert np.abs(alone - both[0].astype(int)).max() <= 1


@pytest.mark.slow
def test_ablation_runs_reports_and_continues(model, tmp_path, capsys, monkeypatch):
    command = [
        "--model",
        str(model),
        "--runs",
        "nowhere",
        "--out",
        str(tmp_path / "out"),
        *SMALL,
        "--clips",
        "2",
        "--long_clips",
        "0",
        "--only",
        "mean,telea,branch_4,default,vae",
    ]
    ablation.main(command)
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 8 and {row["variant"] for row in rows} == {"mean", "telea", "default", "vae"}
    text = (tmp_path / "out" / "ablation.md").read_text()
    assert "absent: `python train.py" in text and "branch_layers=4" in text and "| exact |" in text
    assert "23.32, 0.89" in text
    for picture in ("ablation.png", "ablation_short.png"):
        assert (tmp_path / "out" / picture).stat().st_size > 5000

    # a restart does what is missing: the line that was cut short, and nothing else
    lines = (tmp_path / "out" / "results.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "out" / "results.jsonl").write_text("".join([*lines[1:], lines[0][:40]]))
    monkeypatch.setattr(runner, "Pipeline", None)  # no model is loaded for it
    ablation.main(command)
    assert len(Store(tmp_path / "out" / "results.jsonl").read()) == 8
    assert (tmp_path / "out" / "ablation.md").read_text() == text
    assert "absent   4-layer" in capsys.readouterr().out


@pytest.mark.slow
def test_editing_runs(model, tmp_path, monkeypatch):
    monkeypatch.setattr(editing, "OPERATIONS", ("change", "remove"))
    monkeypatch.setattr(editing, "EDITING", (editing.EDITING[0], editing.EDITING[-1]))
    editing.main(["--model", str(model), "--out", str(tmp_path), *SMALL, "--clips", "2"])
    text = (tmp_path / "editing.md").read_text()
    assert "## change" in text and "## remove" in text and text.count("VideoPainter as shipped") == 2
    assert "paper" not in text
    assert (tmp_path / "editing.png").is_file()


def test_mistakes_are_named(model):
    for flags, message in (
        (["--model", "none"], "--model none"),
        (["--only", "x"], "--only x"),
        (["--steps", "0"], "--steps 0"),
    ):
        with pytest.raises(UserError, match=message):
            ablation.main([*([] if "--model" in flags else ["--model", str(model)]), *flags])


def test_store_keeps_missing_numbers(tmp_path):
    store = Store(tmp_path / "new" / "r.jsonl")
    key = Key("default", "short", "c", "f")
    store.add(key, {"a": 1.5, "b": math.nan})
    assert store.read()[key]["a"] == 1.5 and math.isnan(store.read()[key]["b"])


def test_agreement_with_the_paper():
    clips = [f"c{i}" for i in range(30)]
    base = dict.fromkeys(clips, 20.0)
    psnr = {
        "default": base,
        "backbone": {c: 18.0 for c in clips},
        "branch_1": {c: 21.0 for c in clips},
        "branch_4": {c: 20.0 + (-1) ** i for i, c in enumerate(clips)},
        "mean": base,
    }
    lines = paper.agreement(SHORT, psnr, ["branch_2", "default"])
    assert [line.split(":")[0] for line in lines] == ["**agrees**", "**disagrees**", "**cannot tell**"]
    assert "-2.00 dB" in lines[0] and "-1.17 dB in the paper" in lines[0]
    assert paper.agreement(SHORT, {"backbone": base}, ["default"]) == []


def test_differences_are_taken_clip_by_clip():
    values = {"default": {"a": 10.0, "b": 20.0}, "backbone": {"a": 9.0, "b": 18.0}, "mean": {"a": 1.0, "b": 1.0}}
    (line,) = paper.differences(SHORT, values, "default", "dB")
    assert line.startswith("backbone alone") and "minus VideoPainter as shipped: -1.50 dB [" in line
    assert paper.differences(SHORT, {"backbone": values["backbone"]}, "default", "dB") == []


def test_every_variant_has_a_name_of_its_own_and_known_rows_of_the_paper():
    for variants in (SHORT, LONG):
        assert len({v.name for v in variants}) == len(variants)
        assert {v.paper for v in variants} - {""} <= set(paper.PSNR_SSIM)
