"""Every file of configs/: it builds, holds the published recipe, and has no setting that nothing reads."""

import ast
import dataclasses
import importlib.util
from pathlib import Path

import jax
import pytest

from vp_jax.data.augment import MaskAugment
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.errors import UserError
from vp_jax.models.variants import variant
from vp_jax.runs.input_pipeline import DataConfig
from vp_jax.training.models import ModelConfig
from vp_jax.training.optim import OptimConfig
from vp_jax.training.stages import registry
from vp_jax.training.step import StepConfig

ROOT = Path(__file__).parent.parent
FULL = ("tpu_v4", "tpu_v5p", "tpu_v6e", "gpu_h100", "gpu_single")
NANO = ("nano_autoencoder", "nano_backbone", "nano_joint", "nano_fine", "nano_branch", "nano_id")
NANO_RUNS = [
    *NANO,
    *(f"nano_autoencoder:{part}" for part in ("squared", "sharp")),
]
RUNS = [*FULL, "tiny", *(f"id_adapter:{name}" for name in (*FULL, "tiny"))]
DISTILLED = [f"distill:{name}" for name in (*FULL, "tiny", "nano")]


def config_of(name):
    """As ``--config configs/NAME.py`` or ``configs/NAME.py:ARGUMENT`` reads it."""
    file, *argument = name.split(":")
    spec = importlib.util.spec_from_file_location(f"config_{file}", ROOT / "configs" / f"{file}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*argument)


def test_every_file_is_tested():
    others = {
        "style_lora",
        "tiny",
        "id_adapter",
        "distill",
        "common",
        "__init__",
        "curate",
    }  # tests/curate/test_settings.py
    assert {path.stem for path in (ROOT / "configs").glob("*.py")} == {*FULL, *NANO, *others}


@pytest.mark.parametrize("name", [*RUNS, *NANO_RUNS, *DISTILLED, "style_lora", "style_lora:tiny"])
def test_builds_and_describes_its_models(name):
    config = config_of(name)
    cfg = ModelConfig(**config.model)
    stage = registry.training_models(cfg).stage
    assert stage.kind == config.model.stage
    assert (stage.kind == "id_adapter") == name.startswith(("id_adapter", "nano_id"))
    OptimConfig(**config.optimizer), StepConfig(**config.step), MaskAugment(**config.augment)
    LoaderConfig(**config.loader, seed=config.seed)
    assert config.loader.batch_size % config.step.accumulate == 0
    rows = config.mesh.data * config.mesh.fsdp  # the mesh divides a batch by so many
    assert config.loader.batch_size % rows == 0 and config.validation.clips % rows == 0
    if config.data.kind != "synthetic":
        with pytest.raises(UserError, match=r"give data\.path"):
            DataConfig(**config.data)


@pytest.mark.parametrize("name", [name for name in RUNS if not name.endswith("tiny")])
def test_the_published_recipe(name):
    config = config_of(name)
    adapter = name.startswith("id_adapter")
    assert (config.steps, config.optimizer.lr, config.optimizer.warmup) == (
        (2_000, 5e-5, 200) if adapter else (80_000, 1e-5, 1000)
    )
    assert (config.model.rank, config.model.alpha, config.model.branch_layers) == (256, 128.0, 2)
    assert (config.loader.batch_size, config.loader.frames, config.loader.height, config.loader.width) == (
        8,
        49,
        480,
        720,
    )
    assert (
        config.optimizer.b1,
        config.optimizer.b2,
        config.optimizer.eps,
        config.optimizer.weight_decay,
        config.optimizer.clip,
    ) == (0.9, 0.95, 1e-8, 1e-4, 1.0)
    assert tuple(config.loader.image_log_sigma) == (-3.0, 0.5) and config.loader.image_dropout == 0.05


def test_published_sizes():
    """Weights of the stages of the 5B model (docs/model.md, "Sizes"; the context encoder has no output layer)."""
    stage = registry.training_models(ModelConfig(**config_of("id_adapter:tpu_v4").model)).stage
    values = sum(leaf.size for leaf in jax.tree.leaves(stage.shapes().trainable))
    assert values == 42 * 4 * 2 * 3072 * 256
    assert variant("cogvideox-5b-i2v").branch.dit.in_channels == 33


def test_groups_of_settings_are_the_fields_of_what_they_build():
    """With the settings outside the groups, which the test of train.py follows, every key is read."""
    config = config_of("tpu_v4")
    for group, cls, elsewhere in (
        ("model", ModelConfig, ()),
        ("data", DataConfig, ()),
        ("optimizer", OptimConfig, ()),
        ("step", StepConfig, ()),
        ("augment", MaskAugment, ()),
        ("loader", LoaderConfig, ("seed", "augment", "on_device", "journal", "excluded")),
    ):
        fields = {field.name for field in dataclasses.fields(cls)}
        assert set(config[group]) == fields - set(elsewhere), group


def test_defaults_agree_with_the_code():
    """A setting and the default of the class that it fills are the same recipe."""
    config = config_of("gpu_h100")
    for group, cls in (("optimizer", OptimConfig), ("augment", MaskAugment), ("step", StepConfig)):
        assert cls(**config[group]) == cls(), group


def test_configs_are_data():
    for path in (ROOT / "configs").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert {*names} <= {"ml_collections", "vp_jax.configs", "importlib"}, path
        commands = ("python train.py --config", "vp-jax curate")
        assert any(name in path.read_text() for name in commands) or path.stem in ("common", "__init__")
