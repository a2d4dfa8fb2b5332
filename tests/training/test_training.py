"""`fit`, `test` and `predict` through the real command line, on tiny files in the real formats."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

from gaze_vlm.cli import main
from gaze_vlm.command_line.composition import expand_configs
from gaze_vlm.errors import InputError
from gaze_vlm.training.checkpoint import LATER
from gaze_vlm.training.checkpoint_files import read_checkpoint
from gaze_vlm.training.configured import load_run
from gaze_vlm.training.lightning_cli import seed_of, training_parser
from training_files import ARMS, arguments, error_of, fit, learned, logged


def test_every_arm_trains(tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arm in ("baseline", "shuffled", "centre"):
        run = fit(tmp_path / arm, tiny_llava, prepared, arm=arm, steps=1)
        assert json.loads((run / "run.json").read_text())["arm"] == arm
        shown = capsys.readouterr().err
        assert re.search(r"training: 1/1 in [\d:]+  cross_entropy \d", shown)
        assert re.search(r"validating: (\d+)/\1 in .*testing: (\d+)/\2 in ", shown, re.DOTALL)


def test_a_loss_is_shown_where_it_was_measured(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path / "run", tiny_llava, prepared, "--trainer.log_every_n_steps=2", arm="baseline", steps=4)
    lines = re.findall(r"training: (\d)/4(.*)", capsys.readouterr().err)
    assert [step for step, line in lines if "cross_entropy" in line] == ["2", "4"]
    assert [step for step, _ in lines] == ["1", "2", "3", "4"]


def test_the_control_arm_equals_no_regularizer_at_all(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    control = fit(tmp_path / "control", tiny_llava, prepared, arm="control")
    none = fit(tmp_path / "none", tiny_llava, prepared, "--model.regularizer=null", arm="control")
    first, second = learned(control), learned(none)
    first.pop("regularizer.weight")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gaze_changes_what_is_learned(gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    shuffled = learned(fit(tmp_path / "shuffled", tiny_llava, prepared, arm="shuffled"))
    assert any(not torch.equal(value, shuffled[name]) for name, value in learned(gaze_run).items())


def test_vit_attention_can_be_regularized(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run = fit(
        tmp_path / "vit",
        tiny_llava,
        prepared,
        "--model.backbone.init_args.block=null",
        "--model.backbone.init_args.vit_layers=[-1]",
        "--model.backbone.init_args.train=[vision,projector,language]",
    )
    divergence = logged(run, "train/divergence")
    assert divergence[-1] != divergence[0]


def test_language_attention_can_be_regularized(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run = fit(
        tmp_path / "language",
        tiny_llava,
        prepared,
        "--model.backbone.init_args.block=null",
        "--model.backbone.init_args.language_layers=[0,1]",
    )
    divergence = logged(run, "train/divergence")
    assert divergence[-1] != divergence[0]


def test_a_run_says_nothing_but_what_concerns_it(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """In a process of its own, as a user has it: no tip, no bar of a library, no warning of its internals."""
    options = [*arguments(tmp_path, tiny_llava, prepared, steps=1), "--run.test_after_fit=true"]
    done = subprocess.run(
        [sys.executable, "-m", "gaze_vlm", "fit", *options], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert all(
        re.match(r"(features|training|validating|testing): \d+/\d+ |features of|gaze-vlm|resume|the run", line)
        for line in lines
    ), lines
    assert all(line[0] in "┏┃┡│└" for line in done.stdout.splitlines())


def test_a_drawn_seed_is_recorded(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    options = ["--seed_everything=true", "--run.test_after_fit=true"]
    assert main(["fit", *arguments(tmp_path, tiny_llava, prepared, steps=1), *options]) == 0
    drawn = json.loads((tmp_path / "run.json").read_text())["seed"]
    assert type(drawn) is int
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["seed_everything"] == drawn
    plan = load_run(tmp_path)
    assert plan.datamodule.seed == drawn


def test_processes_of_a_run_have_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "WORLD_SIZE", "SLURM_NTASKS", "PL_GLOBAL_SEED"):
        monkeypatch.delenv(name, raising=False)
    assert seed_of(7) == 7
    assert len({seed_of(True) for _ in range(3)}) == 3
    for wrong in (False, -1, 2**32):
        with pytest.raises(InputError, match="seed"):
            seed_of(wrong)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="give a number"):
        seed_of(True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("PL_GLOBAL_SEED", "11")
    assert seed_of(True) == 11


def bad(message: str, *options: str) -> object:
    return pytest.param(list(options), message, id=options[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        bad("must be 0 or more", "--model.regularizer.init_args.weight=-1"),
        bad("hands over no attention", "--model.backbone.init_args.block=null"),
        bad("no such folder", "--model.backbone.init_args.checkpoint=./nowhere"),
        bad("no hub checkpoint of this name can be reached", "--model.backbone.init_args.checkpoint=no/where"),
        bad("run `gaze-vlm prepare`", "--data.store=./nowhere"),
        bad("train_clips is 999", "--data.train_clips=999"),
        bad("do not fill one batch of 500", "--data.batch_size=500"),
        bad(
            "look into a frozen vision tower",
            "--model.backbone.init_args.vit_layers=[0]",
        ),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], message: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    status = main(["fit", *arguments(tmp_path, tiny_llava, prepared), *options])
    error = error_of(capsys)
    assert status == 1
    assert error.startswith("gaze-vlm fit: error: ")
    assert message in error


def test_a_checkpoint_of_another_grid_is_refused(
    gaze_run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from gaze_vlm.backbones.loading import save_checkpoint
    from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava

    other = tmp_path / "other"
    size = TinyLlavaSize(image=48, patch=8, vision_width=32, vision_layers=2, language_width=32)
    save_checkpoint(*build_tiny_llava(["what"], size), other)
    checkpoint = gaze_run / "checkpoints" / "best.ckpt"
    assert main(["test", *arguments(tmp_path / "run", other, prepared), f"--ckpt_path={checkpoint}"]) == 1
    assert "was trained with grid 4×4, this run's config builds grid 6×6" in capsys.readouterr().err


def test_a_checkpoint_of_another_block_is_refused(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Weights of the same shapes were read as those of half the heads, and of another query."""
    block, checkpoint = "--model.backbone.init_args.block.init_args", gaze_run / "checkpoints" / "best.ckpt"
    options = [*arguments(tmp_path / "run", tiny_llava, prepared), f"--ckpt_path={checkpoint}"]
    for more in ([f"{block}.query=frame"], [f"{block}.heads=2", f"{block}.head_width=32"]):
        assert main(["test", *options, *more]) == 1
        assert "was trained with block_settings {'heads': 4, 'head_width': 16" in capsys.readouterr().err


def test_a_checkpoint_of_before_is_known_by_what_it_remembers(gaze_run: Path) -> None:
    module = load_run(gaze_run).model
    checkpoint = read_checkpoint(gaze_run / "checkpoints" / "best.ckpt")
    checkpoint["gaze_vlm"] = {name: value for name, value in module.identity().items() if name not in LATER}
    module.on_load_checkpoint(checkpoint)
    with pytest.raises(InputError, match="was trained with block_settings old"):
        module.on_load_checkpoint({**checkpoint, "gaze_vlm": checkpoint["gaze_vlm"] | {"block_settings": "old"}})


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    return training_parser()


@pytest.mark.parametrize(
    "file", sorted(ARMS.parent.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_yaml_begins_with_its_command_and_parses(file: Path, parser: ArgumentParser) -> None:
    command = file.read_text().splitlines()[0].removeprefix("# ").split()
    assert command[0] in ("lightning", "gaze-vlm"), file
    yaml.safe_load(file.read_text())
    if command[1] in ("fit", "test"):
        assert parser.parse_args(expand_configs(command[2:])).model.backbone.class_path, file


def validated(run: Path) -> list[int]:
    """The optimiser steps after which a training validated."""
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) + 1 for row in csv.DictReader(file) if row.get("validation/score")]


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (["--trainer.max_steps=3", "--validate_every_n_steps=500"], [3]),
        (["--trainer.max_steps=3", "--validate_every_n_steps=2", "--trainer.accumulate_grad_batches=2"], [2, 3]),
        (["--trainer.max_steps=2", "--validate_every_n_steps=null", "--trainer.check_val_every_n_epoch=5"], [2]),
        (["--trainer.max_steps=-1", "--trainer.max_epochs=2", "--trainer.limit_train_batches=2"], [4]),
    ],
    ids=["far interval", "accumulating", "epochs far apart", "to the end of an epoch"],
)
def test_a_training_validates_by_optimiser_steps_and_at_its_end(
    options: list[str], steps: list[int], tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    more = ["--validate_every_n_steps=500", "--trainer.limit_val_batches=1", *options]
    assert main(["fit", *arguments(tmp_path, tiny_llava, prepared), *more]) == 0
    assert validated(tmp_path) == steps
    assert (tmp_path / "checkpoints" / "best.ckpt").is_file()


def test_an_interval_in_batches_is_refused(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [*arguments(tmp_path, tiny_llava, prepared), "--trainer.val_check_interval=100"]
    assert main(["fit", *options]) == 1
    assert "val_check_interval is 100: it counts batches" in capsys.readouterr().err


def test_a_fast_development_run_writes_nothing(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = arguments(run, tiny_llava, prepared)
    assert main(["fit", *options, "--trainer.fast_dev_run=true", "--data.features=null"]) == 0
    assert not list(run.rglob("*"))


def test_a_test_without_a_checkpoint_says_that_its_weights_are_untrained(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(gaze_run, tmp_path / "run")
    options = [*arguments(run, tiny_llava, prepared), "--trainer.limit_predict_batches=1"]
    with pytest.warns(UserWarning, match="untrained weights are taken; --ckpt_path best takes those of the run"):
        assert main(["predict", *options]) == 0
