"""A run in one file."""

from pathlib import Path

import pytest
import yaml

from gaze_vlm.command_line.composition import configs_of, expand_configs, read_yaml
from gaze_vlm.errors import InputError


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text("a: 1\n")
    Path("more.yaml").write_text("configs: [base.yaml]\nb: 2\n")
    Path("whole.yaml").write_text("configs: [more.yaml, base.yaml]\nc: 3\n")
    return tmp_path


def test_a_file_comes_after_those_that_it_is_composed_of(files: Path) -> None:
    order = ["base.yaml", "more.yaml", "base.yaml", "whole.yaml"]
    assert configs_of(Path("whole.yaml")) == [Path(name) for name in order]
    expanded = expand_configs(["--config", "whole.yaml", "--seed=1", "--config=base.yaml"])
    assert expanded[4:] == ["--seed=1", "--config=base.yaml"]
    assert expanded[0] == expanded[2] == "--config=base.yaml"
    assert [yaml.safe_load(expanded[i].removeprefix("--config=")) for i in (1, 3)] == [{"b": 2}, {"c": 3}]


def test_a_yaml_that_is_given_as_text_is_left_as_it_is(files: Path) -> None:
    args = ["fit", "--config={a: 1}", "--config=a:\n  b: 1\n"]
    assert expand_configs(args) == args


def test_a_missing_part_and_a_circle_are_told(files: Path) -> None:
    Path("lost.yaml").write_text("configs: [nowhere.yaml]\n")
    with pytest.raises(ValueError, match=r"lost.yaml: configs: nowhere.yaml does not exist: fix the path"):
        expand_configs(["--config", "lost.yaml"])
    Path("base.yaml").write_text("configs: [whole.yaml]\n")
    with pytest.raises(ValueError, match=r"whole.yaml → more.yaml → base.yaml → whole.yaml is a circle"):
        expand_configs(["--config", "whole.yaml"])


def test_none_as_python_writes_it_is_refused(files: Path) -> None:
    Path("base.yaml").write_text("data:\n  tasks: [activity]\n  features: None\n")
    with pytest.raises(ValueError, match=r"base.yaml: data.features is the text 'None', .*: write null"):
        expand_configs(["--config", "whole.yaml"])


def test_aliases_without_end_are_refused(files: Path) -> None:
    Path("a.yaml").write_text("model: {optimizer: {init_args: {foreach: &a [*a]}}}\n")
    with pytest.raises(InputError, match=r"^a.yaml: model.optimizer.init_args.foreach.0 is an alias of what it stands"):
        expand_configs(["--config=a.yaml"])
    Path("a.yaml").write_text("data: &a {gaze: *a}\n")
    with pytest.raises(InputError, match=r"^a.yaml: data.gaze is an alias of what it stands in"):
        expand_configs(["--config=a.yaml"])
    doubled = "\n".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]" for i in range(40))
    Path("a.yaml").write_text(f"a0: &a0 [1]\n{doubled}\n")
    with pytest.raises(InputError, match=r"^a.yaml has over 100000 values"):
        expand_configs(["--config=a.yaml"])


def test_an_alias_of_another_value_is_read(files: Path) -> None:
    Path("a.yaml").write_text("a: &a {b: 1}\nc: [*a, *a]\n")
    assert read_yaml(Path("a.yaml")) == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


@pytest.mark.parametrize("configs", ["3", "base.yaml", "[3]", "{base.yaml: 1}"])
def test_configs_is_a_list_of_names(files: Path, configs: str) -> None:
    Path("a.yaml").write_text(f"configs: {configs}\n")
    with pytest.raises(InputError, match=r"a.yaml: configs is .*; expected a list of YAML files"):
        expand_configs(["--config=a.yaml"])


def test_parts_are_found_from_another_directory(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "elsewhere").mkdir()
    composed = next(file for file in files.glob("*.yaml") if "configs" in file.read_text())
    here = expand_configs([f"--config={composed}"])
    monkeypatch.chdir(files / "elsewhere")
    assert len(expand_configs([f"--config={composed}"])) == len(here)


def test_the_name_of_a_shipped_checkpoint_is_no_path_that_moved(files: Path) -> None:
    (files / "kitchen-llava").mkdir()
    run = files / "runs" / "one"
    (run / "checkpoints").mkdir(parents=True)
    named = {"run": {"dir": str(run)}, "model": {"backbone": {"init_args": {"checkpoint": "kitchen-llava"}}}}
    (run / "config.yaml").write_text(yaml.safe_dump(named))
    assert expand_configs([f"--config={run / 'config.yaml'}"]) == [f"--config={run / 'config.yaml'}"]
