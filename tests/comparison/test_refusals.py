"""What a run would fail of is found before the first begins, by the checks of `fit` itself."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoConfig

from fake_comparison import Stub, write_config
from gaze_vlm.comparison.checks import refuse_failing_runs
from gaze_vlm.comparison.compare import run_comparison
from gaze_vlm.comparison.config import Curve, load_comparison
from gaze_vlm.comparison.planned_runs import planned_runs
from gaze_vlm.errors import InputError

CONFIGS = Path(__file__).parents[2] / "lightning_configs"


@pytest.fixture
def real(project, prepared, tiny_llava):
    """A comparison of real configs on a tiny store and checkpoint, as `write_config` takes it."""
    Path(CONFIGS.name).symlink_to(CONFIGS)
    overrides = [
        "--data.train_clips={train_clips}",
        "--data.batch_size=2",
        f"--data.store={prepared}",
        "--model.backbone.init_args.checkpoint=" + str(tiny_llava),
    ]
    return {
        "configs": ["lightning_configs/kitchen/gaze.yaml"],
        "arms": {"control": "lightning_configs/arms/control.yaml"},
        "train_clips": 4,
        "curve": {"arms": ["control"], "train_clips": [2]},
        "before_seed": "absent",
        "overrides": overrides,
    }


def refusal(seeds=(0, 1), **config):
    write_config(**config)
    stub = Stub()
    with pytest.raises(InputError) as error:
        run_comparison(Path("compare.yaml"), list(seeds), 1, stub, None, refuse_failing_runs)
    assert stub.calls == []
    assert not Path("runs").exists()
    return str(error.value)


def test_runs_that_would_not_fail_are_taken(real, capsys):
    write_config(**real)
    comparison = load_comparison(Path("compare.yaml"))
    refuse_failing_runs(comparison, planned_runs(comparison, [0, 1]))
    assert "Seed set" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data.clips_to_train=4", "clips_to_train"),
        ("--data.batch_size=two", "batch_size"),
        ("--model.backbone.init_args.checkpoint=checkpoints/none", "no model in checkpoints/none"),
        ("--data.store=data/none", "data/none is no store"),
        ("--run.arm=other", "run.arm would be 'other', the comparison says 'control'"),
        ("--run.dataset=egtea", "run.dataset would be 'egtea', the comparison says 'kitchen'"),
        ("--seed_everything=7", "seed_everything would be '7', the comparison says '1'"),
        ("--model.regularizer.init_args.weight=-1", "regularizer weight (λ) is -1"),
        ("--data.train_clips=null", "it would train on 4 clips, the comparison says 2: correct train_clips"),
    ],
)
def test_a_value_that_no_run_could_take(real, option, message):
    said = refusal(seeds=[1], **real | {"overrides": [*real["overrides"], option]})
    assert said.startswith("no run was started")
    assert message in said


def test_each_reason_is_one_line_with_the_runs_that_share_it(real):
    lines = refusal(**real | {"train_clips": 100_000, "overrides": [*real["overrides"], "--run.arm=x"]}).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  runs/kitchen/control/seed0 and 3 more: run.arm would be 'x'")
    assert lines[2].startswith("  runs/kitchen/control/seed0: train_clips is 100000, ")


def test_a_checkpoint_that_before_seed_makes_need_not_be_there(real, tiny_llava, monkeypatch):
    shutil.copytree(tiny_llava, "checkpoints/seed0")
    here = [*real["overrides"][:-1], "--model.backbone.init_args.checkpoint=checkpoints/seed{seed}"]
    said = refusal(**real | {"overrides": here})
    assert "runs/kitchen/control/seed1: no model in checkpoints/seed1" in said
    makes = ["gaze-vlm", "backbone", "--output", "checkpoints/seed{seed}"]
    write_config(**real | {"overrides": here, "before_seed": makes})
    comparison = load_comparison(Path("compare.yaml"))
    refuse_failing_runs(comparison, planned_runs(comparison, [0, 1]))
    with monkeypatch.context() as no_hub:  # a path of two words is no name to ask a hub for
        no_hub.setattr(AutoConfig, "from_pretrained", None)
        refuse_failing_runs(comparison, planned_runs(comparison, [1]))
    other = ["gaze-vlm", "backbone", "--output=checkpoints/seed-{seed}"]
    assert "no model in checkpoints/seed1, and before_seed makes checkpoints/seed-1" in refusal(
        **real | {"overrides": here, "before_seed": other}
    )
    assert "there is no command 'no-such-program'" in refusal(**real | {"before_seed": ["no-such-program"]})


@pytest.mark.parametrize("name", ["paper", "forms", "beyond"])
def test_arms_of_several_files_fit_together(name, project, prepared, tiny_llava):
    """The arms of one file are configured by tests/training/test_training.py."""
    Path(CONFIGS.name).symlink_to(CONFIGS)
    comparison = load_comparison(CONFIGS / "compare" / f"{name}.yaml")
    small = [f"--data.store={prepared}", f"--model.backbone.init_args.checkpoint={tiny_llava}", "--data.batch_size=2"]
    several = {arm: files for arm in comparison.arms if len(files := comparison.arm_files(arm)) > 1}
    assert several
    tried = replace(comparison, arms=several, overrides=(*small, "--data.train_clips=4"), curve=Curve())
    refuse_failing_runs(tried, planned_runs(tried, [0]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"arms": {"control": "control.yaml", False: "gaze.yaml"}},
            "arms: False is no text for YAML: put the name",
        ),
        ({"sweeps": {1: {"gaze": 1}}}, "sweeps: 1 is no text for YAML"),
        ({"sweeps": {"λ": {"gaze": float("nan")}}}, "sweeps: λ: gaze is nan; expected a finite number"),
        ({"arms": {"control": "control.yaml", "../gaze": "gaze.yaml"}}, "arms: '../gaze' is no name of a folder"),
        (
            {"arms": {"control": "control.yaml", "gaze": "gaze.yaml", "gaze-400": "gaze.yaml"}},
            "'gaze-400' is a name of",
        ),
    ],
)
def test_names_that_would_fail_after_hours(project, changed, message):
    assert message in refusal(**changed)
