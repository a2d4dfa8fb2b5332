"""Configurations that ship are found by name, from any folder, by commands and by each other."""

from pathlib import Path

import pytest

from gaze_vlm.command_line.composition import configs_of, expand_configs
from gaze_vlm.comparison.choice import Choice
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.planned_runs import job_of, planned_runs
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.shipped.configs import CONFIGS, locate_config, shipped_configs
from gaze_vlm.training.configured import configure

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_one_copy_in_the_repository() -> None:
    assert CONFIGS.resolve() == ROOT / "lightning_configs"
    assert {*shipped_configs()} == {
        str(file.relative_to(ROOT / "lightning_configs")) for file in (ROOT / "lightning_configs").rglob("*.yaml")
    }


@pytest.mark.parametrize(
    "name",
    ["lightning_configs/kitchen/gaze.yaml", "lightning_configs/kitchen/gaze", "kitchen/gaze.yaml", "kitchen/gaze"],
)
def test_a_shipped_file_has_a_short_name(name: str) -> None:
    assert locate_config(Path(name)) == CONFIGS / "kitchen" / "gaze.yaml"


def test_a_file_of_the_working_folder_comes_first(elsewhere: Path) -> None:
    own = Path("lightning_configs/kitchen/gaze.yaml")
    own.parent.mkdir(parents=True)
    own.write_text("a: 1\n")
    assert locate_config(own) == own
    assert locate_config(Path("arms/lambda-0.1")) == CONFIGS / "arms" / "lambda-0.1.yaml"  # no suffix is cut off


def test_what_is_no_shipped_file_stays_as_it_is() -> None:
    for name in (
        "kitchen/gaz.yaml",
        "lightning_configs",
        "kitchen",
        "../lightning_configs/base.yaml",
        "/base.yaml",
        "",
    ):
        assert locate_config(Path(name)) == Path(name)


def test_a_whole_run_is_composed_in_an_empty_folder() -> None:
    parts = configs_of(Path("lightning_configs/runs/kitchen_qwen2-vl.yaml"))
    assert len(parts) > 2
    assert not any(part.is_absolute() for part in parts)  # names, which hold wherever the package lies
    cli = configure(["--config", "kitchen/gaze", "--config=arms/shuffled", "--trainer.max_steps=7"])
    assert (cli.datamodule.train_gaze, cli.options.arm, cli.training.trainer["max_steps"]) == (
        "shuffled",
        "shuffled",
        7,
    )


def test_a_comparison_is_planned_in_an_empty_folder() -> None:
    comparison = load_comparison(Path("compare/demo"))
    assert comparison.runs == Path("runs/demo")
    runs = planned_runs(comparison, comparison.seeds)
    jobs = {run.arm: job_of(run, comparison) for run in runs}
    assert {*jobs} == {"baseline", "control", "gaze", "shuffled", "centre", "language"}
    assert "--config=lightning_configs/arms/shuffled.yaml" in jobs["shuffled"].command
    depends_on = jobs["language"].dependencies()
    assert "lightning_configs/arms/language-all.yaml" in depends_on
    assert not any(Path(name).is_absolute() for name in depends_on)  # an environment elsewhere makes the same runs
    assert load_comparison(Path("compare/paper.yaml")).published is not None
    backbone = Choice.of(["runs/kitchen_qwen2-vl"], None, None, None, None, None)
    assert [*load_comparison(Path("compare/demo"), backbone).backbones.values()] == [Path("runs/kitchen_qwen2-vl")]


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(
        MissingFileError, match=r"kitchen/gase.yaml does not exist.*mean lightning_configs/kitchen/gaze.yaml\?"
    ):
        expand_configs(["--config", "kitchen/gase.yaml"])
    Path("own.yaml").write_text("configs: [lightning_configs/kitchn/gaze.yaml]\n")
    with pytest.raises(InputError, match=r"did you mean lightning_configs/kitchen/gaze.yaml\?"):
        expand_configs(["--config", "own.yaml"])
