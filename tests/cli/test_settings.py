"""Settings: files found by path and by name, values with the types of the file's own, mistakes in one line."""

import json

import pytest

from vp_jax.cli import settings
from vp_jax.cli.main import parser_of
from vp_jax.errors import UserError


def read(*argv):
    return settings.read(parser_of("train").parse_args(argv))


def test_a_packaged_file_is_found_by_its_name_anywhere(tmp_path, monkeypatch):
    here = settings.config_from_file("configs/tiny.py")
    monkeypatch.chdir(tmp_path)
    assert settings.config_from_file("tiny") == here and settings.config_from_file("tiny").is_locked
    assert settings.config_from_file("id_adapter:tpu_v4").model.stage == "id_adapter"
    assert (
        settings.config_from_file("nano_autoencoder:sharp").steps == 800
        and settings.config_from_file("nano_autoencoder").steps == 1300
    )


def test_a_file_of_ones_own_builds_on_a_packaged_one(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from vp_jax.configs import tiny\n\n\ndef get_config(steps='3'):\n"
        "    config = tiny.get_config()\n    config.steps = int(steps)\n    return config\n"
    )
    assert settings.config_from_file(str(tmp_path / "mine.py")).steps == 3
    assert settings.config_from_file(f"{tmp_path / 'mine.py'}:7").steps == 7


def test_no_file_is_no_settings():
    assert read() is None
    with pytest.raises(UserError, match=r"--config.steps=3 without --config"):
        read("--config.steps=3")


@pytest.mark.parametrize(
    "given, name, value",
    [
        (["--config.steps=3"], "steps", 3),
        (["--config.steps", "3"], "steps", 3),
        (["--config.steps=3", "--config.steps=4"], "steps", 4),
        (["--config.optimizer.lr=2e-5"], "optimizer.lr", 2e-5),
        (["--config.optimizer.lr=1"], "optimizer.lr", 1.0),
        (["--config.ema"], "ema", True),
        (["--config.ema=true", "--noconfig.ema"], "ema", False),
        (["--config.ema", "false"], "ema", False),
        (["--config.model.checkpoint=a b=c"], "model.checkpoint", "a b=c"),
        (["--config.model.checkpoint="], "model.checkpoint", ""),
        (["--config.loader.image_log_sigma=(-1.0,0.5)"], "loader.image_log_sigma", (-1.0, 0.5)),
        (["--config.mesh.fsdp", "-1"], "mesh.fsdp", -1),
    ],
)
def test_values_have_the_types_of_the_file(given, name, value):
    config = read("--config", "tiny", *given)
    for part in name.split("."):
        config = config[part]
    assert config == value and type(config) is type(value)


def test_a_setting_changes_nothing_else():
    changes = ((), ("--config.step.accumulate=2",))
    before, after = (json.loads(read("--config", "tiny", *change).to_json()) for change in changes)
    assert before["step"].pop("accumulate") == 1 and after["step"].pop("accumulate") == 2
    assert before == after


@pytest.mark.parametrize(
    "argv, message",
    [
        (["configs/none.py"], r"^--config configs/none.py: no such file, expected a Python file with get_config\(\)"),
        (["elsewhere/tiny.py"], r"no such file, the packaged one is --config tiny$"),
        (["tpu_v7"], r"^--config tpu_v7: did you mean tpu_v\w\?"),
        (["xyzzy"], r"no such packaged settings.* gpu_h100, .*tiny"),
        (["common"], "no such packaged settings"),
        (["id_adapter"], r"^--config id_adapter: give a name after a colon, such as configs/id_adapter.py:tpu_v4$"),
        (["id_adapter:tpu_v9"], r"no settings named 'tpu_v9': one of distill, gpu_h100"),
        (["tiny:name"], "takes no name after a colon"),
        (["nano_autoencoder:wrong"], "one of squared, sharp"),
        (["README.md"], r"README.md: expected a Python file with get_config\(\)"),
        (["configs/common.py"], r"no get_config\(\) in it"),
        (["tiny", "--config.foo=1"], "^no setting 'foo': configs/common.py lists all$"),
        (["tiny", "--config.optimizer.lrr=1"], r"^no setting 'optimizer.lrr': did you mean optimizer.lr\?$"),
        (["tiny", "--config.optimizer.lr.x=1"], "^no setting 'optimizer.lr.x'"),
        (["tiny", "--config.steps=many"], "^--config.steps=many: expected a whole number$"),
        (["tiny", "--config.steps=2.5"], "^--config.steps=2.5: expected a whole number$"),
        (["tiny", "--config.ema=maybe"], "^--config.ema=maybe: expected true or false$"),
        (["tiny", "--config.optimizer.lr="], "^--config.optimizer.lr=: expected a number$"),
        (["tiny", "--config.=3"], "^--config.=3: "),
        (["tiny", "--config.optimizer=3"], "^--config.optimizer=3: .*not a dict"),
    ],
)
def test_mistakes_are_one_line(argv, message):
    with pytest.raises(UserError, match=message) as caught:
        read("--config", *argv)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("def get_config(:", "invalid syntax"),
        ("def get_config():\n    return 1 / 0\n", r"ZeroDivisionError: division by zero, line 2 of .*mine\.py"),
        ("import absent_module\n", r"ModuleNotFoundError: No module named 'absent_module', line 1 of"),
        ("def get_config():\n    raise ValueError('choose a pod')\n", r": choose a pod$"),
        ("def get_config():\n    return {'steps': 1}\n", r"gave dict, not a ConfigDict"),
        ("get_config = 3\n", r"no get_config\(\) in it"),
    ],
)
def test_a_file_with_a_fault_is_named_with_the_place(text, message, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        settings.config_from_file(str(tmp_path / "mine.py"))
    assert str(tmp_path / "mine.py") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".py", "a\0b", ""])
def test_a_name_that_cannot_exist_is_one_short_line(name):
    with pytest.raises(UserError, match=r"--config .*(no such|Expected a file)") as caught:
        settings.config_from_file(name)
    assert len(str(caught.value)) < 700


def test_a_value_of_thousands_of_digits_is_one_short_line():
    with pytest.raises(UserError, match=r"--config\.ema=9+.*expected true or false") as caught:
        read("--config", "tiny", "--config.ema=" + "9" * 5000)
    assert len(str(caught.value)) < 700
