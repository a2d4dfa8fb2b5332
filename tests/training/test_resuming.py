"""A stopped training resumes; a run directory says what state it is in."""

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from event_files import scalars
from gaze_vlm.cli import main
from gaze_vlm.command_line.commands import resume_command
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.errors import InputError
from gaze_vlm.runs import directory
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training import resuming
from gaze_vlm.training.configured import configure
from gaze_vlm.training.module import GazeVLM
from gaze_vlm.training.resuming import LastCheckpoint
from training_files import arguments, fit

STEPS = 4


def steps_logged(run: Path) -> list[int]:
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["train/cross_entropy"]]


def cost(run: Path) -> dict[str, Any]:
    return json.loads((run / "training.json").read_text())


def error_of(capsys: pytest.CaptureFixture) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def signal_at(
    monkeypatch: pytest.MonkeyPatch, number: int, step: int, hook: str = "on_train_batch_end", times: int = 1
) -> None:
    """Let this process get a signal at a step, once."""
    original = getattr(LastCheckpoint, hook)
    sent: list[int] = []

    def send(self: LastCheckpoint, trainer: Any, module: Any, *rest: Any) -> None:
        if trainer.global_step == step and not trainer.sanity_checking and not sent:
            for _ in range(times):
                sent.append(number)
                os.kill(os.getpid(), number)
                time.sleep(0.01)  # until Python runs the handler
        original(self, trainer, module, *rest)

    monkeypatch.setattr(LastCheckpoint, hook, send)


@pytest.fixture(scope="module")
def whole_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(tmp_path_factory.mktemp("runs") / "whole", tiny_llava, prepared, steps=STEPS)


@pytest.mark.parametrize(
    ("number", "status", "hook"),
    [
        (signal.SIGINT, 130, "on_train_batch_end"),
        (signal.SIGTERM, 143, "on_train_batch_end"),
        (signal.SIGTERM, 143, "on_validation_batch_start"),
        (signal.SIGINT, 130, "on_validation_batch_end"),
    ],
    ids=["Ctrl-C", "SIGTERM", "as a validation begins", "in a validation"],
)
def test_a_stopped_training_resumes(
    number: int,
    status: int,
    hook: str,
    tiny_llava: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    run, handlers = tmp_path / "run", [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    options = [*arguments(run, tiny_llava, prepared, steps=STEPS), "--validate_every_n_steps=2"]
    with monkeypatch.context() as once:
        signal_at(once, number, step=2, hook=hook)
        try:
            ended = main(["fit", *options])
        except SystemExit as stop:
            ended = int(stop.code or 0)
    assert ended == status
    assert f"stopped at step 2; resume with: {resume_command(RunDirectory(run))}" in capsys.readouterr().err
    assert RunDirectory(run).state == "interrupted"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert steps_logged(run) == [0, 1]
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == handlers
    until_then = cost(run)["train_seconds"]
    assert until_then > 0
    assert main(resume_command(RunDirectory(run)).split()[1:]) == 0
    assert RunDirectory(run).state == "finished"
    assert cost(run)["train_seconds"] > until_then
    assert steps_logged(run) == list(range(STEPS))
    with (run / "metrics.csv").open() as file:
        validated = [int(row["step"]) for row in csv.DictReader(file) if row["validation/score"]]
    assert validated == [1, 3]
    curves = scalars(run / "tensorboard")
    assert [*curves["train/cross_entropy"]] == list(range(STEPS))
    assert [*curves["validation/score"]] == validated
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == STEPS


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--model.regularizer.init_args.weight=3", "model.regularizer.init_args.weight 1.0 (now 3.0)"),
        ("--data.train_gaze=centre", "data.train_gaze own (now centre)"),
        ("--data.gaze.sigma=0.5", "data.gaze.sigma"),
        ("--data.batch_size=1", "data.batch_size 2 (now 1)"),
        ("--model.optimizer.init_args.lr=0.5", "model.optimizer.init_args.lr"),
        ("--trainer.precision=bf16-mixed", "trainer.precision None (now bf16-mixed)"),
        ("--trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches 1 (now 2)"),
    ],
)
def test_a_training_resumes_with_its_own_options_alone(
    option: str, message: str, whole_run: Path, tiny_llava: Path, prepared: Path, capsys: pytest.CaptureFixture
) -> None:
    """Resumed with another λ, it went on with the old one and said that the new one was used."""
    options = [*arguments(whole_run, tiny_llava, prepared, steps=STEPS + 1), "--ckpt_path=last", option]
    for command in ("fit", "doctor"):
        assert main([command, *options]) == 1
        said = capsys.readouterr()
        assert f"the training began with {message}" in said.err + said.out
    assert main(["doctor", *options[:-1], "--data.cached_clips=1"]) == 0
    assert f"began with max_steps {STEPS} and resumes with {STEPS + 1}" in capsys.readouterr().out


def test_another_length_is_obeyed_and_the_learning_rate_follows_it(
    whole_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: dict[int, float] = {}
    original = GazeVLM.optimizer_step

    def optimizer_step(self: GazeVLM, *args: Any, **options: Any) -> None:
        rates[self.global_step] = self.trainer.optimizers[0].param_groups[0]["lr"]
        original(self, *args, **options)

    monkeypatch.setattr(GazeVLM, "optimizer_step", optimizer_step)
    run = Path(shutil.copytree(whole_run, tmp_path / "run"))
    with pytest.warns(UserWarning, match="its learning rate follows the schedule of the new length"):
        assert main(["fit", *arguments(run, tiny_llava, prepared, steps=STEPS + 1), "--ckpt_path=last"]) == 0
    assert steps_logged(run) == list(range(STEPS + 1))
    new = configure(arguments(run, tiny_llava, prepared)).model
    optimizer = new.make_optimizer([torch.nn.Parameter(torch.zeros(1))])
    (rate,) = (group["lr"] for group in optimizer.param_groups)
    warmup = round(new.warmup * (STEPS + 1))
    schedule = get_scheduler(new.schedule, optimizer, num_warmup_steps=warmup, num_training_steps=STEPS + 1)
    expected = rate * schedule.lr_lambdas[0](STEPS)
    assert expected > 0
    assert rates == {STEPS: pytest.approx(expected)}


def test_a_stopped_last_validation_is_repeated(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as once:
        signal_at(once, signal.SIGINT, step=3, hook="on_validation_batch_end")
        assert main(["fit", *arguments(run, tiny_llava, prepared), "--run.save_every_minutes=0"]) == 130
    assert not (run / "checkpoints" / "best.ckpt").exists()
    assert main(resume_command(RunDirectory(run)).split()[1:]) == 0
    assert steps_logged(run) == [0, 1, 2]
    assert (run / "checkpoints" / "best.ckpt").is_file()


def test_a_stopped_test_says_so(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=1)]) == 0
    monkeypatch.setattr(GazeVLM, "on_test_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM), raising=False)
    with pytest.raises(SystemExit) as stop:
        main(["test", f"--config={run / 'config.yaml'}", "--ckpt_path=best", "--data.batch_size=1"])
    assert stop.value.code == 143
    assert not (run / "metrics.json").exists()


def test_a_second_signal_stops_at_once(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    signal_at(monkeypatch, signal.SIGINT, step=1, times=2)
    assert main(["fit", *arguments(run, tiny_llava, prepared)]) == 130
    assert RunDirectory(run).state == "interrupted"
    assert not (run / "checkpoints" / "last.ckpt").exists()


def test_last_is_written_at_intervals(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    original = LastCheckpoint.save

    def save(self: LastCheckpoint, trainer: Any) -> None:
        saved.append(trainer.global_step)
        original(self, trainer)

    monkeypatch.setattr(LastCheckpoint, "save", save)
    options = arguments(tmp_path / "run", tiny_llava, prepared, steps=3)
    assert main(["fit", *options, "--run.save_every_minutes=0", "--trainer.accumulate_grad_batches=2"]) == 0
    assert list(dict.fromkeys(saved)) == [1, 2, 3]


def test_a_crash_costs_the_interval_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save falls on the first step whose end is so many minutes after the last one, and on no other."""
    now, saved = [1000.0], []
    monkeypatch.setattr(resuming, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(resuming, "validates_now", lambda trainer: False)
    trainer: Any = SimpleNamespace(global_step=0, loggers=[], is_global_zero=True, world_size=1)
    trainer.save_checkpoint = lambda path, weights_only: saved.append((trainer.global_step, path))
    run = RunDirectory(tmp_path)
    last = LastCheckpoint(run, 600.0, SimpleNamespace(wait=lambda until_written: None))  # type: ignore[arg-type]
    last.on_train_start(trainer, None)  # type: ignore[arg-type]
    last.restore_handlers()
    for _ in range(25):  # a minute each
        trainer.global_step += 1
        now[0] += 60.0
        for _ in range(2):  # the second batch of a step makes none
            last.on_train_batch_end(trainer, None)  # type: ignore[arg-type]
    assert saved == [(10, run.last), (20, run.last)]


def test_last_without_a_checkpoint_is_an_error(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    for name in ("last", str(tmp_path / "nowhere.ckpt")):
        assert main(["fit", *arguments(run, tiny_llava, prepared), f"--ckpt_path={name}"]) == 1
        assert "does not exist: leave the option out to begin anew" in error_of(capsys)
    assert RunDirectory(run).state == "empty"


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


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_results_beside_an_unfinished_training_are_refused(state: str, whole_run: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "run.json", "metrics.json", "predictions.jsonl"):
        (tmp_path / name).write_bytes((whole_run / name).read_bytes())
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


@pytest.mark.parametrize(
    ("option", "message", "commands"),
    [
        ("--run.arm=control", "is of arm gaze, this run's config says control", ("test", "fit")),
        ("--seed_everything=1", "is of seed 0, this run's config says 1", ("test", "fit")),
        ("--run.dataset=other", "is of dataset kitchen, this run's config says other", ("fit",)),
        ("--data.train_clips=3", "is of train_clips None, this run's config says 3", ("fit",)),
        ("--trainer.devices=2", "is of processes 1, this run's config says 2", ("fit",)),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    option: str,
    message: str,
    commands: tuple[str, ...],
    whole_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    options = [f"--config={whole_run / 'config.yaml'}", f"--run.dir={tmp_path / 'run'}", option]
    for command in commands:
        assert main([command, *options, f"--ckpt_path={whole_run / 'checkpoints' / 'best.ckpt'}"]) == 1
        assert message in error_of(capsys)


def test_a_store_that_was_prepared_anew_gives_a_warning(whole_run: Path, prepared: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for path in prepared.iterdir():
        if path.name != "manifest.json":
            (store / path.name).symlink_to(path)
    (store / "manifest.json").write_text((prepared / "manifest.json").read_text() + "\n")
    options = [f"--config={whole_run / 'config.yaml'}", f"--run.dir={tmp_path / 'run'}", f"--data.store={store}"]
    checkpoint = f"--ckpt_path={whole_run / 'checkpoints' / 'best.ckpt'}"
    with pytest.warns(UserWarning, match="the store of kitchen is not the one that the run was trained on"):
        assert main(["test", *options, checkpoint]) == 0
