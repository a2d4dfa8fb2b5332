"""A run directory says what state it is in, and serves one training."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from gaze_vlm.cli import main
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.errors import InputError
from gaze_vlm.runs import directory
from gaze_vlm.runs.directory import RunDirectory, State
from training_files import arguments, error_of, fit, signal_at, steps_logged


def test_a_used_directory_is_refused_or_overwritten(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = fit(tmp_path / "run", tiny_llava, prepared, steps=1)
    (run / "notes.txt").write_text("mine")
    assert read_run(run).arm == "gaze"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    options = arguments(run, tiny_llava, prepared, steps=1)
    assert main(["fit", *options]) == 1
    assert "holds a run (finished): name another with --run.dir, resume it" in error_of(capsys)
    assert {path: path.read_bytes() for path in before} == before
    with monkeypatch.context() as once:  # a killed process writes no more
        signal_at(once, signal.SIGINT, step=1, times=2)
        once.setattr(RunDirectory, "write_state", lambda *_: None)
        main(["fit", *options, "--run.overwrite=true"])
    assert sorted(path.name for path in run.iterdir() if path.is_file() and path.suffix != ".yaml") == [
        "metrics.csv",
        "notes.txt",
        "state.json",
    ]
    assert steps_logged(run) == [0]
    with pytest.raises(InputError, match="is missing"):
        read_run(run)
    assert main(["fit", *options, "--run.overwrite=true"]) == 0
    assert "overwrite: false" in (run / "config.yaml").read_text()


def test_a_training_that_failed_as_it_began_leaves_its_directory_free(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = arguments(tmp_path / "run", tiny_llava, prepared, steps=1)
    damaged = Path(shutil.copytree(tiny_llava, tmp_path / "damaged"))
    (damaged / "model.safetensors").write_bytes(b"cut short")
    assert main(["fit", *options, f"--model.backbone.init_args.checkpoint={damaged}"]) == 1
    assert f"{damaged}: its weights are damaged" in capsys.readouterr().err
    assert RunDirectory(tmp_path / "run").state == "failed"
    assert main(["fit", *options]) == 0


@pytest.mark.parametrize(("state", "is_free"), [("interrupted", True), ("failed", True), ("running", False)])
def test_a_training_that_ended_before_its_first_checkpoint(state: State, is_free: bool, tmp_path: Path) -> None:
    """Nothing is lost where it begins anew; there is nothing to resume. One that was killed says no more than that."""
    run = RunDirectory(tmp_path)
    run.write_state(state)
    if is_free:
        run.check_usable(resumes=False, overwrite=False)
    else:
        with pytest.raises(InputError, match=r"name another with --run.dir, or delete it with --run.overwrite=true"):
            run.check_usable(resumes=False, overwrite=False)
    run.checkpoints.mkdir()
    with pytest.raises(InputError, match=f"holds a run \\({state}\\).* resume it with --ckpt_path last, or delete it"):
        run.check_usable(resumes=False, overwrite=False)


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_results_beside_an_unfinished_training_are_refused(state: str, gaze_run: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "run.json", "metrics.json", "predictions.jsonl"):
        (tmp_path / name).write_bytes((gaze_run / name).read_bytes())
    assert read_run(tmp_path).arm == "gaze"  # of before there were states
    (tmp_path / "state.json").write_text(json.dumps({"state": state}))
    with pytest.raises(InputError, match=f"its training is {state}: train and test it again"):
        read_run(tmp_path)


def test_a_directory_serves_one_training_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "LOADERS_END_S", 0)
    run = RunDirectory(tmp_path / "run")
    with run.training(resumes=False, overwrite=False):
        run.metrics.write_text("step\n")
        with (
            pytest.raises(InputError, match="run is being trained in by another process: wait for it, or stop it"),
            RunDirectory(run.path).training(resumes=True, overwrite=True),
        ):
            raise AssertionError
        with pytest.raises(InputError, match="is being trained in"):
            run.clear()
        assert (run.state, run.metrics.is_file()) == ("running", True)
    run.clear()
    assert run.state == "empty"


def test_the_state_follows_the_training(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert RunDirectory(run).state == "empty"
    with RunDirectory(run).training(resumes=False, overwrite=False):
        assert RunDirectory(run).state == "running"
    assert RunDirectory(run).state == "finished"
    (run / "metrics.json").write_text("{}")
    (run / "metrics.csv").write_text("step\n")

    def fail() -> None:
        with RunDirectory(run).training(resumes=True, overwrite=False):
            assert not (run / "metrics.json").exists()
            assert (run / "metrics.csv").exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert RunDirectory(run).state == "failed"
    (run / "state.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        _ = RunDirectory(run).state
