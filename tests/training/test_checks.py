"""One list of checks: what `fit` refuses before it loads weights, `doctor` refuses with the same words."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gaze_vlm.cli import main
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.datamodules.gaze_sources import CentrePrior
from gaze_vlm.doctor.doctor import doctor
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.gaze.view import View
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checks import model, problems, refuse_what_would_fail
from gaze_vlm.training.checks.scores import monitored_scores
from gaze_vlm.training.checks.steps import whole_steps
from gaze_vlm.training.configured import configure
from training_files import arguments, error_of

MODEL = "--model.backbone.init_args"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data.train_clips=999", "train_clips is 999"),
        ("--data.batch_size=500", "do not fill one batch of 500"),
        ("--trainer.limit_val_batches=0", "limit_val_batches is 0: no checkpoint would be written"),
        ("--trainer.accumulate_grad_batches=100", "do not fill one batch of 2 100 times on each of 1 processes"),
        ("--trainer.gradient_clip_val=-1", "trainer.gradient_clip_val is -1"),
        ("--trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches is 0"),
        ("--trainer.log_every_n_steps=-1", "trainer.log_every_n_steps is -1"),
        ("--trainer.num_sanity_val_steps=-3", "trainer.num_sanity_val_steps is -3"),
        ("--trainer.limit_train_batches=0", "trainer.limit_train_batches is 0: nothing would be trained"),
        ("--trainer.max_steps=0", "trainer.max_steps is 0: nothing would be trained"),
        ("--trainer.max_epochs=0", "trainer.max_epochs is 0: nothing would be trained"),
        ("--trainer.precision=bf16-true", "trainer.precision is bf16-true, which would round λ"),
        ("--trainer.precision=16-true", "trainer.precision is 16-true, which would round λ"),
        (
            "--trainer.callbacks=lightning.pytorch.callbacks.EMAWeightAveraging",
            "lightning.pytorch.callbacks.EMAWeightAveraging averages weights beside those that are trained",
        ),
        ("--trainer.limit_val_batches=0.0001", "limit_val_batches is 0.0001: less than one of 2 batches"),
        ("--trainer.limit_train_batches=0.0001", "trainer.limit_train_batches is 0.0001: less than one of"),
        ("--trainer.overfit_batches=0.001", "trainer.overfit_batches is 0.001: less than one of"),
        ("--model.backbone.init_args.heads=[99]", "heads [99]: the attention has"),
        ("--model.task_weights={activity: 0, future: 0}", "task_weights are 0 for activity and future"),
        ("--ckpt_path=hpc", "has no hpc_ckpt_N.ckpt"),
        ("--ckpt_path=last", "last.ckpt does not exist: leave the option out"),
        ("--model.optimizer.init_args.lr=1e38", "model.optimizer: lr is 1e+38; expected 1e+30 or less"),
        ("--model.learning_rates.block=1e39", "model.optimizer: lr is 1e+39"),
        ("--model.optimizer.init_args.lr=-1", "model.optimizer: Invalid learning rate: -1"),
        ("--data.train_noise.dropped=1", "has valid gaze, so λ > 0 would pull toward nothing"),
        ("--data.gaze_input=coordinates", "the model's tokenizer reads 202 places of gaze as"),
        ("--data.train_noise.offset=5", "has valid gaze, so λ > 0 would pull toward nothing"),  # out of every view
    ],
)
def test_fit_and_doctor_refuse_alike(
    option: str, message: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [*arguments(tmp_path / "run", tiny_llava, prepared), option]
    assert main(["fit", *options]) == 1
    refused = error_of(capsys).removeprefix("gaze-vlm fit: error: ")
    assert message in refused
    assert main(["doctor", *options]) == 1
    assert f"\n! {refused}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--trainer.accelerator=nosuch", "trainer.accelerator is 'nosuch'; choose one of "),
        ("--trainer.strategy=dpp", "trainer.strategy is 'dpp'; choose one of .*did you mean ddp"),
        ("--trainer.gradient_clip_algorithm=foo", "trainer: `?gradient_clip_algorithm"),
        ("--trainer.max_steps=-5", "trainer: `?max_steps"),
        ("--trainer.enable_checkpointing=false", "trainer.barebones and trainer.enable_checkpointing: false write no"),
        ("--trainer.barebones=true", "trainer.barebones and trainer.enable_checkpointing: false write no"),
        ("--trainer.profiler=bogus", "trainer: .*profiler"),
        ("--trainer.num_nodes=0", "trainer.num_nodes is 0; expected 1 or more"),
        ("--trainer.devices=-5", "trainer.devices is '?-5"),
        ("--trainer.devices=2147483648", "trainer.devices is '?2147483648'?: expected how many"),
        ("--trainer.devices=[0,0]", r"trainer.devices is \[0, 0\]"),
        ("--trainer.devices=two", "trainer.devices is 'two'"),
        ("--trainer.strategy=fsdp", "trainer.strategy is fsdp, whose shards are in no checkpoint .* set it to fsdp2"),
        ("--trainer.strategy=lightning.pytorch.strategies.ModelParallelStrategy", "trainer.strategy is ModelParallelS"),
        ("--trainer.precision=transformer-engine", "trainer: .*transformer_engine"),
        ("--trainer.devices=0", "trainer.devices is '?0'?: expected how many"),
    ],
)
def test_what_lightning_refuses_doctor_refuses_too(
    option: str, message: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [*arguments(tmp_path / "run", tiny_llava, prepared), option]
    assert main(["fit", *options]) in (1, 2)
    assert main(["doctor", *options]) == 1
    assert re.search(f"\n! {message}", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--model.task_weights={activty: 0}", "task_weights names 'activty', which is no task"),
        ("--data.prompts={activty: x}", "prompts names 'activty', which is no task"),
        ("--data.tasks=[activity,activity]", "tasks is activity, activity"),
        ("--model.regularizer.init_args.weight=1e-60", "weight (λ) is 1e-60"),
        ("--model.regularizer.init_args.weight=1e39", "weight (λ) is 1e+39"),
    ],
)
def test_what_would_be_ignored_is_refused(
    option: str, message: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for command in ("fit", "doctor"):
        assert main([command, *arguments(tmp_path / "run", tiny_llava, prepared), option]) == 1
        assert message in capsys.readouterr().err


def test_frozen_weights_that_every_token_rounds_are_warned_of(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "MANY_WEIGHTS", 1)
    lora = f"{MODEL}.lora={{rank: 2}}"

    def warned(*options: str) -> bool:
        found, _ = problems(configure([*arguments(tmp_path, tiny_llava, prepared), *options]).training)
        assert not any(one.fatal for one in found)
        return any("frozen weights of the language model are kept in 32 bits" in one.text for one in found)

    assert warned(f"{MODEL}.train=[]", lora, "--trainer.precision=bf16-mixed")
    assert not warned(f"{MODEL}.train=[]", lora)
    assert not warned(f"{MODEL}.train=[]", lora, "--trainer.precision=bf16-mixed", f"{MODEL}.dtype=bfloat16")
    assert not warned(f"{MODEL}.train=[language]", "--trainer.precision=bf16-mixed")


def test_a_calibrated_weight_that_is_never_measured_is_refused(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = ["--model.regularizer.init_args.schedule=calibrated", "--model.ratio_every_n_steps=0"]
    assert main(["doctor", *arguments(tmp_path, tiny_llava, prepared), *options]) == 1
    assert "schedule is calibrated and ratio_every_n_steps 0" in capsys.readouterr().err


def test_a_directory_in_use_is_refused_by_both(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = arguments(tmp_path / "run", tiny_llava, prepared)
    RunDirectory(tmp_path / "run").write_state("finished")
    for command in ("fit", "doctor"):
        assert main([command, *options]) == 1
        said = capsys.readouterr()
        assert "holds a run (finished)" in said.err + said.out
    assert main(["doctor", *options, "--run.overwrite=true"]) == 0


def test_a_score_that_no_validation_logs_is_not_waited_for(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    stopping = "--trainer.callbacks=[{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: %s}}]"
    options = arguments(tmp_path / "run", tiny_llava, prepared)
    assert main(["doctor", *options, stopping % "validation/scor"]) == 1
    assert "monitors 'validation/scor', which is not logged" in capsys.readouterr().out
    assert main(["doctor", *options, stopping % "train/los"]) == 1
    assert main(["doctor", *options, stopping % "validation/activity/noun"]) == 0
    without = ["--model.backbone.init_args.block=null", "--model.regularizer=null"]
    assert main(["doctor", *options, *without, stopping % "validation/future/attention_nss"]) == 1
    assert "is not logged (no attention is captured: the backbone has no block" in capsys.readouterr().out


def test_a_score_of_labels_that_no_clip_has_is_not_waited_for(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """As with narrations alone: a training failed at its first validation."""
    stopping = {"class_path": "EarlyStopping", "init_args": {"monitor": "validation/activity/noun"}}
    training = configure(arguments(tmp_path, tiny_llava, prepared)).training
    training = replace(training, trainer={**training.trainer, "callbacks": [stopping]})
    assert [*monitored_scores(training)] == []
    training.data.setup("fit")
    assert [*monitored_scores(training)] == []
    of_validation = training.data.datasets["validation"]
    of_validation.records = [replace(one, activity_noun=None) for one in of_validation.records]
    (problem,) = monitored_scores(training)
    assert "no clip of the validation has the labels that it needs" in problem.text


def test_what_is_fine_is_not_refused_and_draws_nothing(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    training = configure(arguments(tmp_path, tiny_llava, prepared)).training
    before = torch.random.get_rng_state()
    assert refuse_what_would_fail(training) == []
    assert torch.equal(torch.random.get_rng_state(), before)
    assert training.module.backbone.hf is None


def test_an_odd_number_of_frames(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """As a model that takes two frames as one would find it; this one takes each by itself."""
    training = configure(arguments(tmp_path, tiny_llava, prepared)).training
    backbone = training.module.backbone
    backbone.load(weights=False)
    collator = backbone.collator()
    collator.frames_per_group = 3
    backbone.collator = lambda: collator  # type: ignore[method-assign]
    found, built = problems(training)
    assert built
    (problem,) = found
    assert "has 4 frames, of which the model takes 3 as one" in problem.text


@pytest.mark.parametrize(("limit", "batches"), [("3", 3), ("0.5", None)])
def test_steps_that_lack_batches(
    limit: str, batches: int | None, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    """An epoch of 3 batches, 2 a step; of half of the epoch's."""
    options = [f"--trainer.limit_train_batches={limit}", "--trainer.accumulate_grad_batches=2"]
    training = configure([*arguments(tmp_path, tiny_llava, prepared), *options]).training
    training.data.setup("fit")
    half = training.data.steps_of_training(1, 2)
    expected = batches or half
    found = [problem.text for problem in whole_steps(training)]
    assert bool(found) == bool(expected % 2)
    assert all(f"an epoch of {expected} batches, which are no whole steps of 2" in text for text in found)


def test_little_valid_gaze_is_worth_a_warning(
    tiny_llava: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClipDataModule, "valid_share", lambda *_: 0.4)
    options = arguments(tmp_path, tiny_llava, prepared)
    (doubt,) = refuse_what_would_fail(configure(options).training)
    assert doubt.text.startswith(f"40% of the training frames in {prepared} have valid gaze")
    page = doctor(options).page()
    assert f"? {doubt.text}" in page
    assert "nothing would fail" in page
    assert refuse_what_would_fail(configure([*options, "--model.regularizer.init_args.weight=0"]).training) == []


def test_the_share_is_that_of_the_arms_own_gaze(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """Against the points that the training is served, of three clips, with every third frame in a blink."""
    data = configure([*arguments(tmp_path, tiny_llava, prepared), "--data.train_clips=3"]).training.data
    data.setup("fit")
    dataset = data.datasets["train"]
    for video_id in {record.video_id for record in dataset.records}:
        data.store.video(video_id).event[1::3] = GazeEvent.BLINK
    valid = torch.cat([(dataset.gaze(position).weight > 0).any(-1) for position in range(3)])
    assert 0 < valid.sum() < len(valid)
    assert data.valid_share(View(), 0.1) == pytest.approx(valid.float().mean().item())
    dataset.gaze = CentrePrior(data.store, dataset.records)
    dataset.described.cache_clear()
    assert data.valid_share(View(), 0.5) == 1


def test_a_checkpoint_without_weights(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_llava, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    assert main(["fit", *arguments(tmp_path / "run", folder, prepared)]) == 1
    assert f"{folder} has a config.json and no weights" in capsys.readouterr().err
