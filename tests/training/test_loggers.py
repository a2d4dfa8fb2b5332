"""What a training logs to, beside metrics.csv."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from event_files import scalars
from fake_mlflow import FakeMlflow
from fake_wandb import FakeWandb
from gaze_vlm.cli import main
from gaze_vlm.errors import InputError
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.event_files import EventFiles
from gaze_vlm.training.loggers import name_known_runs
from training_files import ROOT, arguments


def rows(run: Path) -> dict[str, dict[int, float]]:
    """What metrics.csv has under each name, by step."""
    with (run / "metrics.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = [name for name in lines[0] if name not in ("step", "epoch")]
    return {name: {int(line["step"]): float(line[name]) for line in lines if line[name]} for name in names}


def test_tensorboard_shows_what_metrics_csv_has(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """Without TensorBoard's files, metrics.csv is the same to the byte."""
    run, alone = tmp_path / "run", tmp_path / "alone"
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=2)]) == 0
    shown, logged = scalars(run / "tensorboard"), rows(run)
    assert "validation/score" in logged
    for name, values in logged.items():
        assert shown[name] == pytest.approx(values), name
    assert main(["fit", *arguments(alone, tiny_llava, prepared, steps=2), "--trainer.logger=false"]) == 0
    assert (alone / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()
    assert not (alone / "tensorboard").exists()


def test_steps_that_are_made_again_take_the_place_of_those_before(tmp_path: Path) -> None:
    first, resumed = EventFiles(tmp_path), EventFiles(tmp_path)
    for step in range(4):
        first.log_metrics({"loss": step}, step)
    resumed.resume_at(2)
    resumed.log_metrics({"loss": 20}, 2)
    for logger in (first, resumed):
        logger.finalize("success")
    assert scalars(tmp_path) == {"loss": {0: 0, 1: 1, 2: 20}}


def test_a_resumed_training_continues_its_run_of_wandb(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lightning_configs/loggers/wandb.yaml has it; metrics.csv is written beside it."""
    wandb, run = FakeWandb(monkeypatch), tmp_path / "run"
    logger = ROOT / "lightning_configs" / "loggers" / "wandb.yaml"
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=2), f"--config={logger}"]) == 0
    assert wandb.config["run"]["arm"] == "gaze"
    assert json.loads((run / "loggers.json").read_text()) == {"WandbLogger": "drawn"}
    of_config = yaml.safe_load((run / "config.yaml").read_text())
    assert of_config["trainer"]["logger"]["init_args"]["id"] is None  # whoever uses it begins another
    assert main(["fit", f"--config={run / 'config.yaml'}", "--ckpt_path=last"]) == 0
    assert wandb.ids == [None, "drawn"]
    (run / "loggers.json").write_text('{"WandbLogger": []}')
    with pytest.raises(InputError, match=r"loggers.json is damaged \(WandbLogger is no id\): delete it"):
        name_known_runs(SimpleNamespace(class_path="a.WandbLogger", init_args={}), RunDirectory(run))
    for name, values in rows(run).items():
        shown = {row["trainer/global_step"]: row[name] for row in wandb.logged if name in row}
        assert shown == pytest.approx(values), name
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=2), "--run.overwrite=true"]) == 0
    assert not (run / "loggers.json").exists()
    assert len((run / "throughput.csv").read_text().splitlines()) == 2  # the header, and the step after the first


def test_a_resumed_training_continues_its_run_of_mlflow(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lightning_configs/loggers/mlflow.yaml has it."""
    mlflow, run = FakeMlflow(monkeypatch), tmp_path / "run"
    logger = ROOT / "lightning_configs" / "loggers" / "mlflow.yaml"
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=2), f"--config={logger}"]) == 0
    assert mlflow.created == ["gaze_vlm-run"]
    assert json.loads((run / "loggers.json").read_text()) == {"MLFlowLogger": "gaze_vlm-run"}
    assert mlflow.params["run/arm"] == "gaze"
    assert any(file.endswith(".jpg") for file in mlflow.files)
    assert main(["fit", f"--config={run / 'config.yaml'}", "--ckpt_path=last"]) == 0
    assert mlflow.created == ["gaze_vlm-run"]
    assert set(mlflow.continued) == {"gaze_vlm-run"}
    for name, values in rows(run).items():
        shown = {step: value for key, value, step in mlflow.logged if key == name}
        assert shown == pytest.approx(values), name
