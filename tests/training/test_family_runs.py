"""A run of every family on its own configuration, as a user would type it."""

import json
from pathlib import Path

import pytest

from backbone_families import DEVICE
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.tiny import tiny_families
from gaze_vlm.cli import main
from training_files import ROOT

WORDS = "what is the camera wearer doing will do next ? cut pick up red cup onion".split()


@pytest.mark.parametrize("family", tiny_families())
def test_a_family_is_trained_and_tested_by_its_configuration(family: str, prepared: Path, tmp_path: Path) -> None:
    save_checkpoint(*tiny_families()[family].build(WORDS, seed=0), tmp_path / "checkpoint")
    options = [
        f"--config={ROOT / 'lightning_configs' / 'runs' / f'kitchen_{family}.yaml'}",
        f"--run.dir={tmp_path / 'run'}",
        "--run.test_after_fit=true",
        f"--model.backbone.init_args.checkpoint={tmp_path / 'checkpoint'}",
        f"--data.store={prepared}",
        f"--data.features={tmp_path / 'features'}",
        "--data.train_clips=null",
        "--data.batch_size=2",
        "--trainer.max_steps=2",
        "--validate_every_n_steps=2",
        "--trainer.log_every_n_steps=1",
        *(["--trainer.accelerator=gpu", "--trainer.precision=bf16-mixed"] if DEVICE.type == "cuda" else []),
    ]
    assert main(["fit", *options]) == 0
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (about["backbone"], about["arm"]) == (family, "gaze")
    rows = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert {row["task"] for row in rows} == {"activity", "future"}
    assert all(row["attention_kl"] > 0 for row in rows if row["attention_kl"] is not None)
    assert any(row["attention_kl"] is not None for row in rows)
