"""What a merged configuration of real data must hold: the paper's σ, all clips, nothing kept in memory."""

import re
from pathlib import Path

import pytest

from gaze_vlm.training.configured import ConfiguredTraining, configure
from training_files import ROOT

CONFIGS = ROOT / "lightning_configs"
REAL = [
    *sorted(CONFIGS.glob("runs/ego4d_*.yaml")),
    *(CONFIGS / data / "data.yaml" for data in ("egtea", "ego4d", "folder")),
    CONFIGS / "base.yaml",
]


def merged(file: Path) -> ConfiguredTraining:
    """What the command in a YAML's first line configures."""
    command = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# lightning fit ")
    return configure(command.split())


def name(file: Path) -> str:
    return f"{file.parent.name}-{file.stem}"


@pytest.mark.parametrize("file", REAL, ids=name)
def test_a_run_on_real_data(file: Path) -> None:
    cli = merged(file)
    data, training = cli.datamodule, cli.training
    assert data.gaze.sigma == 20 / 1088
    assert data.train_clips is None
    assert data.cached_clips == 0
    assert data.features == Path("data/features")
    assert cli.model.backbone.options.max_new_tokens == 32
    assert training.validate_every_n_steps == 500
    assert training.trainer["val_check_interval"] is None
    assert training.trainer["max_steps"] == 4000
    assert not training.trainer["use_distributed_sampler"]
    assert cli.model.regularizer is not None
    assert cli.model.regularizer.is_active
    assert "kitchen" not in f"{data.store_path} {cli.options.dir} {cli.options.dataset} {cli.options.backbone}"
    assert "kitchen" not in "".join(path.read_text() for path in REAL)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("runs/ego4d_*.yaml")), ids=name)
def test_a_run_has_a_directory_of_its_own(file: Path) -> None:
    options = merged(file).options
    assert options.dir == Path("runs/ego4d", options.backbone, "gaze/seed0")
    assert file.stem == f"ego4d_{options.backbone}"


@pytest.mark.parametrize(
    ("file", "steps"),
    [("kitchen/gaze.yaml", 500), ("runs/kitchen_llava.yaml", 1000), ("backbones/small-llava.yaml", 300)],
)
def test_the_kitchen_stays_as_its_tables_have_it(file: str, steps: int) -> None:
    cli = merged(CONFIGS / file)
    data, training, regularizer = cli.datamodule, cli.training, cli.model.regularizer
    assert regularizer is not None
    assert (data.gaze.sigma, data.cached_clips, data.store_path) == (0.08, 2500, Path("data/kitchen-store"))
    assert (training.trainer["max_steps"], training.validate_every_n_steps) == (steps, steps)
    assert (training.trainer["accelerator"], training.trainer["gradient_clip_val"]) == ("cpu", 1.0)
    assert (float(regularizer.weight), regularizer.floor) == (1.0, 0.001)


def test_every_command_in_the_documents_names_configurations_that_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    named = {path for page in pages for path in re.findall(r"lightning_configs/[\w./-]+\.yaml", page.read_text())}
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
