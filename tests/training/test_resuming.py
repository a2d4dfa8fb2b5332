"""A training resumes from its last checkpoint, with its own options alone."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from gaze_vlm.cli import main
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training import resuming
from gaze_vlm.training.configured import configure
from gaze_vlm.training.evaluation import Evaluation
from gaze_vlm.training.module import GazeVLM
from gaze_vlm.training.resuming import LastCheckpoint
from gaze_vlm.training.run_files import RunFiles
from training_files import arguments, error_of, steps_logged

STEPS = 3  # of `gaze_run`


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
    option: str, message: str, gaze_run: Path, tiny_llava: Path, prepared: Path, capsys: pytest.CaptureFixture
) -> None:
    """Resumed with another λ, it went on with the old one and said that the new one was used."""
    options = [*arguments(gaze_run, tiny_llava, prepared, steps=STEPS + 1), "--ckpt_path=last", option]
    for command in ("fit", "doctor"):
        assert main([command, *options]) == 1
        said = capsys.readouterr()
        assert f"the training began with {message}" in said.err + said.out
    assert main(["doctor", *options[:-1], "--data.cached_clips=1"]) == 0
    assert f"began with max_steps {STEPS} and resumes with {STEPS + 1}" in capsys.readouterr().out


def test_another_length_is_obeyed_and_the_learning_rate_follows_it(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: dict[int, float] = {}
    original = GazeVLM.optimizer_step

    def optimizer_step(self: GazeVLM, *args: Any, **options: Any) -> None:
        rates[self.global_step] = self.trainer.optimizers[0].param_groups[0]["lr"]
        original(self, *args, **options)

    monkeypatch.setattr(GazeVLM, "optimizer_step", optimizer_step)
    run = Path(shutil.copytree(gaze_run, tmp_path / "run"))
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


@pytest.mark.filterwarnings("ignore:the training began with max_steps")
def test_a_moved_run_keeps_its_best_checkpoint(
    gaze_run: Path, tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed in another folder, it forgot the best score, and a worse validation replaced the best checkpoint."""
    run = Path(shutil.copytree(gaze_run, tmp_path / "moved"))
    best, finish, tested = (run / "checkpoints" / "best.ckpt").read_bytes(), Evaluation.finish, []
    monkeypatch.setattr(Evaluation, "finish", lambda self: {**finish(self), "score": -1.0})
    monkeypatch.setattr(
        RunFiles, "on_test_end", lambda self, trainer, module: tested.append(Path(trainer.ckpt_path).resolve())
    )
    options = arguments(run, tiny_llava, prepared, steps=STEPS + 1)
    assert main(["fit", *options, "--ckpt_path=last", "--run.test_after_fit=true"]) == 0
    assert (run / "checkpoints" / "best.ckpt").read_bytes() == best
    assert tested == [(run / "checkpoints" / "best.ckpt").resolve()]


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
    gaze_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    options = [f"--config={gaze_run / 'config.yaml'}", f"--run.dir={tmp_path / 'run'}", option]
    for command in commands:
        assert main([command, *options, f"--ckpt_path={gaze_run / 'checkpoints' / 'best.ckpt'}"]) == 1
        assert message in error_of(capsys)


def test_a_store_that_was_prepared_anew_gives_a_warning(gaze_run: Path, prepared: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for path in prepared.iterdir():
        if path.name != "manifest.json":
            (store / path.name).symlink_to(path)
    (store / "manifest.json").write_text((prepared / "manifest.json").read_text() + "\n")
    options = [f"--config={gaze_run / 'config.yaml'}", f"--run.dir={tmp_path / 'run'}", f"--data.store={store}"]
    checkpoint = f"--ckpt_path={gaze_run / 'checkpoints' / 'best.ckpt'}"
    with pytest.warns(UserWarning, match="the store of kitchen is not the one that the run was trained on"):
        assert main(["test", *options, checkpoint]) == 0
