"""What a trained run leaves, and how it is tested, moved and pictured."""

import json
import shutil
from pathlib import Path

import pytest
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
from training_files import arguments, learned, logged


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
    assert len(logged(gaze_run, "train/divergence")) == 3  # steps
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
