"""Where nano's autoencoder starts, and what the gate in front of its latents lets through."""

import dataclasses

import jax
import numpy as np
import pytest

from bench.nano import autoencoder
from bench.nano.autoencoder import Measured
from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig, from_json
from vp_jax.training.stages.weights import random_weights

SIZE = ("--size", "32", "48")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder") / "start"
    shape = ["--channels", "16", "--widths", "8", "8", "--layers", "1"]
    assert autoencoder.main(["start", str(folder), *shape, *SIZE, "--clips", "40"]) == 0
    return folder


@pytest.mark.slow
def test_the_start_is_far_above_random_weights_and_has_even_channels(begun):
    cfg = from_json(checkpoint.load_config(begun, "vae"))
    assert (cfg.design, cfg.latent_channels, cfg.channels) == ("blocks", 16, (8, 8))
    data = autoencoder.held_out(6, 32, 48, "lit")
    found = autoencoder.measure(cfg, checkpoint.load_params(begun), data)
    random = autoencoder.measure(cfg, random_weights(cfg, jax.random.key(0)), data)
    assert all(found.decibel[region] > random.decibel[region] + 8 for region in found.decibel)
    assert found.std_C.min() > 0.5 and found.std_C.max() < 1.6


def test_held_out_regions_are_those_of_the_masked_thing():
    data = autoencoder.held_out(3, 32, 48, "lit")
    assert data.clips_BFHWC.shape == (3, 17, 32, 48, 3) and data.holes_BFHW.any((1, 2, 3)).all()
    assert not data.holes_BFHW[:, 0].any(), "frame 0 is given"
    inside = data.holes_BFHW[:, 1:]
    assert (data.edges_BFHW[:, 1:] & inside).any() and (data.edges_BFHW[:, 1:] & ~inside).any()
    assert data.edges_BFHW.mean() < 0.3


@pytest.mark.slow
def test_the_gate_refuses_what_is_no_better_than_principal_components(begun, capsys):
    assert autoencoder.main(["gate", str(begun), "--clips", "4"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1].strip() for line in lines if line.startswith("refused")][:3] == ["all", "edges", "hole"]


def test_the_gate_asks_for_every_margin_and_every_channel():
    linear = Measured({"all": 27.0, "edges": 19.0, "hole": 21.0}, np.ones(3))
    good = Measured({"all": 28.0, "edges": 20.0, "hole": 22.0}, np.array([0.8, 1.0, 1.2]))
    assert autoencoder.faults(good, linear) == []
    for region in linear.decibel:
        worse = good._replace(decibel={**good.decibel, region: linear.decibel[region] + 0.9})
        assert len(autoencoder.faults(worse, linear)) == 1 and region in autoencoder.faults(worse, linear)[0]
    assert autoencoder.faults(good._replace(decibel=dict.fromkeys(good.decibel, float("nan"))), linear)
    uneven = good._replace(std_C=np.array([0.79, 1.0, 1.21]))
    assert autoencoder.faults(uneven, linear) == ["deviations outside 0.8 to 1.2 in channels 0: 0.79, 2: 1.21"]


@pytest.mark.slow
def test_scaled_channels_have_deviations_by_what_they_change_and_decode_to_the_same_pixels(begun, tmp_path, capsys):
    assert autoencoder.main(["scale", str(begun), str(tmp_path / "scaled"), "--power", "0.5", "--clips", "6"]) == 0
    even, scaled = (from_json(checkpoint.load_config(folder, "vae")) for folder in (begun, tmp_path / "scaled"))
    factors = np.divide(even.latent_std or np.ones(16), scaled.latent_std)
    assert np.square(factors).mean() == pytest.approx(1.0, rel=1e-4) and factors.max() > 2 * factors.min()
    # principal components come by what they explain, so does the change that one deviation makes
    assert (np.diff(factors[[0, 1, 7, 15]]) < 0).all()
    data, weights = autoencoder.held_out(2, 32, 48, "lit"), checkpoint.load_params(begun)
    before, after = (autoencoder.measure(cfg, weights, data) for cfg in (even, scaled))
    np.testing.assert_allclose(after.std_C, before.std_C * factors, rtol=1e-3)
    assert after.decibel == pytest.approx(before.decibel, abs=1e-3)
    assert f"{factors.max():.2f}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_first_channels_of_principal_components_are_those_of_fewer(begun, tmp_path):
    assert autoencoder.main(["cut", str(begun), str(tmp_path / "cut"), "--channels", "6"]) == 0
    cfg = from_json(checkpoint.load_config(tmp_path / "cut", "vae"))
    assert cfg.latent_channels == 6
    data, fewer = autoencoder.held_out(3, 32, 48, "lit"), autoencoder.start(cfg, 40, "lit")
    found, want = (
        autoencoder.measure(cfg, weights, data) for weights in (checkpoint.load_params(tmp_path / "cut"), fewer)
    )
    assert found.decibel == pytest.approx(want.decibel, abs=0.02)
    with pytest.raises(UserError, match="--channels 17: expected 1 to 16"):
        autoencoder.main(["cut", str(begun), str(tmp_path / "more"), "--channels", "17"])


@pytest.mark.slow
def test_a_description_of_another_size_starts_too():
    cfg = VAEConfig(design="blocks", latent_channels=4, channels=(8, 8), layers_per_block=1, scaling_factor=1.0)
    cfg = dataclasses.replace(cfg, sample_height=32, sample_width=32)
    weights = autoencoder.start(cfg, 20, "lit")
    assert weights["encoder"]["linear"]["kernel"].shape == (1, 1, 1, 768, 4)
    assert not np.asarray(weights["decoder"]["conv_out"]["kernel"]).any(), "corrections start at zero"
