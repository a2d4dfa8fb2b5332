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

from ego4d_files import TEST_UIDS, write_root
from gaze_vlm.cli import main
from gaze_vlm.comparison.cross_dataset import CrossDatasetTest, read_test
from gaze_vlm.comparison.planned_runs import PlannedRun
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.errors import InputError
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.runs.alignment import read_alignment
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint import is_same_place
from gaze_vlm.training.configured import load_run
from gaze_vlm.training.lightning_cli import seed_of
from training_files import ARMS, arguments, fit

STEPS = 3


def learned(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]


def logged(run: Path, name: str) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.fixture(scope="module")
def gaze_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(tmp_path_factory.mktemp("runs") / "gaze", tiny_llava, prepared)


def test_a_run_is_tested_on_another_data_set(gaze_run: Path, tmp_path: Path) -> None:
    """The real command of a comparison, on a store of Ego4D's files that has test clips alone."""
    root = write_root(tmp_path / "ego4d", TEST_UIDS[:1], seconds=10)
    nouns = tmp_path / "noun_idx.txt"
    nouns.write_text("onion 1\ncup 2\nfridge 3\n")
    parameters = PreparationParameters(observation_s=4, anticipation_s=2, split_fractions=(0, 0, 1))
    reader = {"split": "none", "noun_index": str(nouns)}
    store = prepare("ego4d", root, tmp_path / "store", parameters, workers=1, reader=reader)
    elsewhere = CrossDatasetTest(
        PlannedRun("kitchen", "tiny-llava", "gaze", 0, 8, RunDirectory(gaze_run)), "elsewhere", store
    )
    before = {path: path.read_bytes() for path in gaze_run.rglob("*") if path.is_file()}
    assert main(list(elsewhere.job.command)) == 0
    run = read_test(elsewhere, read_run(gaze_run))
    assert {prediction.session for prediction in run.predictions} == {TEST_UIDS[0]}
    assert {prediction.target_noun for prediction in run.predictions} <= {"onion", "cup", "fridge"}
    assert all({"noun", "semantic", "attention_kl"} <= set(prediction.scores) for prediction in run.predictions)
    assert (run.dataset, run.trained_on) == ("elsewhere", "kitchen")
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_leaves_its_directory(gaze_run: Path) -> None:
    for name in (
        "config.yaml",
        "metrics.csv",
        "checkpoints/best.ckpt",
        "run.json",
        "metrics.json",
        "predictions.jsonl",
        "alignment.json",
    ):
        assert (gaze_run / name).is_file(), name
    run = read_run(gaze_run)
    assert (run.arm, run.seed, run.dataset) == ("gaze", 0, "kitchen")
    means = json.loads((gaze_run / "metrics.json").read_text())
    assert means["activity"]["clips"] == means["future"]["clips"] > 0
    assert {"semantic", "rouge_l", "exact_match", "verb", "noun", "attention_kl"} <= means["future"].keys()
    aligned = read_alignment(gaze_run / "alignment.json")
    assert (aligned.source, aligned.layers, aligned.heads) == ("block", (1,), (0, 1, 2, 3))
    assert len(logged(gaze_run, "train/divergence")) == STEPS
    assert logged(gaze_run, "train/gradient_ratio")


def test_a_run_is_tested_from_its_own_config(gaze_run: Path) -> None:
    before = (gaze_run / "predictions.jsonl").read_text()
    options = [f"--config={gaze_run / 'config.yaml'}", f"--ckpt_path={gaze_run / 'checkpoints' / 'best.ckpt'}"]
    assert main(["test", *options]) == 0
    assert (gaze_run / "predictions.jsonl").read_text() == before


@pytest.mark.filterwarnings("ignore:the checkpoint remembers base_checkpoint")  # trained outside of the project
@pytest.mark.parametrize("moved", ["project", "run", "neither"])
def test_a_moved_run_is_tested_and_exported_from_anywhere(
    moved: str, gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder, copied in (("data/store", prepared), ("checkpoints/tiny", tiny_llava), ("runs/gaze", gaze_run)):
        shutil.copytree(copied, project / folder)
    config = project / "runs" / "gaze" / "config.yaml"
    values = yaml.safe_load(config.read_text())
    values["run"]["dir"], values["data"]["store"] = "runs/gaze", "data/store"
    values["trainer"]["default_root_dir"] = "runs/gaze"
    values["model"]["backbone"]["init_args"]["checkpoint"] = "checkpoints/tiny"
    config.write_text(yaml.safe_dump(values))
    elsewhere.mkdir()
    run = project / "runs" / "gaze"
    if moved == "project":
        run = project.rename(tmp_path / "renamed") / "runs" / "gaze"
    if moved == "run":  # into another folder of the project
        run = run.rename(project / "best")
    monkeypatch.chdir(elsewhere)
    before = (run / "predictions.jsonl").read_text()
    (run / "predictions.jsonl").unlink()
    options = [f"--config={run / 'config.yaml'}", f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}"]
    assert main(["test", *options]) == 0
    assert (run / "predictions.jsonl").read_text() == before
    assert main(["export", "--run", str(run), "--output", "exported"]) == 0
    assert [path.name for path in elsewhere.iterdir()] == ["exported"]


def test_the_picture_of_a_run(gaze_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def picture(name: str, *more: str) -> int:
        return main(["attention", "--runs", str(gaze_run), "--output", str(tmp_path / name), *more])

    tested = [json.loads(line)["clip_id"] for line in (gaze_run / "predictions.jsonl").read_text().splitlines()]
    assert picture("drawn.png", "--count", "1") == 0
    assert picture("chosen.svg", "--clips", tested[-1], tested[0], "--frame", "0") == 0
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "chosen.svg").read_text()
    capsys.readouterr()
    assert picture("none.png", "--clips", "nonsense") == 1
    assert "no test clip is called 'nonsense'" in capsys.readouterr().err
    assert picture("none.png", "--frame", "4") == 1
    assert "frame is 4, clip" in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()


def test_the_checkpoint_holds_the_trainable_parameters_alone(gaze_run: Path) -> None:
    names = learned(gaze_run)
    assert not any("vision_tower" in name for name in names)
    assert any(".block." in name for name in names)


def test_every_arm_trains(tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arm in ("baseline", "shuffled", "centre"):
        run = fit(tmp_path / arm, tiny_llava, prepared, arm=arm, steps=1)
        assert json.loads((run / "run.json").read_text())["arm"] == arm
        shown = capsys.readouterr().err
        assert re.search(r"training: 1/1 in [\d:]+  cross_entropy \d", shown)
        assert re.search(r"validating: (\d+)/\1 in .*testing: (\d+)/\2 in ", shown, re.DOTALL)


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


def test_no_command_writes_anothers_files(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    shutil.copytree(gaze_run, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    options = [*arguments(run, tiny_llava, prepared), f"--ckpt_path={run / 'checkpoints' / 'best.ckpt'}"]
    assert main(["predict", *options]) == 0
    assert main(["validate", *options]) == 0
    made = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path not in before}
    assert made == {
        "answers.jsonl",
        "predict.yaml",
        "validate.yaml",
        "validation/alignment.json",
        "validation/metrics.json",
        "validation/predictions.jsonl",
    }
    assert {path: path.read_bytes() for path in before} == before
    assert run / "test.yaml" in before

    rows = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    tested = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert {(row["clip_id"], row["task"]): row["prediction"] for row in rows} == {
        (row["clip_id"], row["task"]): row["prediction"] for row in tested
    }
    validated = json.loads((run / "validation" / "metrics.json").read_text())
    assert validated.keys() == {"activity", "future"}


def test_a_limited_test_is_marked_and_is_no_run_to_compare(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    options = [*arguments(tmp_path, tiny_llava, prepared), f"--ckpt_path={gaze_run / 'checkpoints' / 'best.ckpt'}"]
    assert main(["test", *options, "--trainer.limit_test_batches=0.5"]) == 0
    whole = len((gaze_run / "predictions.jsonl").read_text().splitlines())
    assert json.loads((tmp_path / "metrics.json").read_text())["limited"] == {"samples": 2, "of": whole}
    shutil.copy(gaze_run / "config.yaml", tmp_path)
    with pytest.raises(InputError, match=rf"is of a limited test, 2 of {whole} samples: test the run again without"):
        read_run(tmp_path)


def test_all_layers_of_a_runs_tower_are_aligned(
    gaze_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(gaze_run, tmp_path / "run")
    options = ["--runs", str(run), "--output", str(tmp_path / "a.png"), "--samples=3"]
    assert main(["alignment", *options, "--tower=vision"]) == 0
    aligned = read_alignment(run / "alignment_vision.json")
    assert (aligned.source, aligned.layers, aligned.heads) == ("vision", (0, 1), (0, 1, 2, 3))
    assert 0 < aligned.frames["kl"] <= 3 * 4
    assert main(["alignment", *options, "--tower=language"]) == 1
    assert "language_layers look at a frame's patches" in capsys.readouterr().err


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


def test_the_config_wins_over_what_the_checkpoint_remembers(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    options = [*arguments(tmp_path / "other", tiny_llava, prepared), "--model.regularizer.init_args.floor=0.01"]
    with pytest.warns(UserWarning, match=r"remembers floor 0.001, this run's config says 0.01: the config is used"):
        assert main(["test", *options, f"--ckpt_path={gaze_run / 'checkpoints' / 'best.ckpt'}"]) == 0
    assert json.loads((tmp_path / "other" / "run.json").read_text())["floor"] == 0.01


def test_a_moved_checkpoint_is_the_same() -> None:
    assert is_same_place("checkpoints/llava", "/new/project/checkpoints/llava")
    assert is_same_place("/new/project/checkpoints/llava", "checkpoints/llava")
    assert not is_same_place("checkpoints/llava-seed0", "/new/project/checkpoints/llava-seed1")
    assert not is_same_place(None, "checkpoints/llava")
    assert not is_same_place("kitchen-llava", "/new/project/kitchen-llava")  # the first ships


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
        bad("has no config.json", "--model.backbone.init_args.checkpoint=./nowhere"),
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
    error = capsys.readouterr().err.strip().splitlines()[-1]
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


@pytest.mark.parametrize(
    "file", sorted(ARMS.parent.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_yaml_begins_with_its_command_and_parses(file: Path, capsys: pytest.CaptureFixture) -> None:
    command = file.read_text().splitlines()[0].removeprefix("# ").split()
    assert command[0] in ("lightning", "gaze-vlm"), file
    yaml.safe_load(file.read_text())
    if command[1] in ("fit", "test"):
        with pytest.raises(SystemExit) as stop:
            main([*command[1:], "--print_config"])
        assert stop.value.code in (0, None)
        assert "backbone" in capsys.readouterr().out


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


def test_a_test_without_a_checkpoint_says_that_its_weights_are_untrained(
    gaze_run: Path, tiny_llava: Path, prepared: Path
) -> None:
    options = [*arguments(gaze_run, tiny_llava, prepared), "--trainer.limit_predict_batches=1"]
    with pytest.warns(UserWarning, match="untrained weights are taken; --ckpt_path best takes those of the run"):
        assert main(["predict", *options]) == 0
