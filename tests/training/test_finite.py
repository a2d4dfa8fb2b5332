"""What is not finite stops a run, and is neither saved nor used."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gaze_vlm.cli import main
from gaze_vlm.errors import InputError
from gaze_vlm.training.callbacks import GradientCheck
from gaze_vlm.training.finite import FiniteCheck, refuse_unfinite_scores
from training_files import arguments, error_of, fit

NAN, INF = float("nan"), float("inf")


def test_weights_that_leave_the_numbers_stop_the_run_and_are_not_saved(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    options = [*arguments(run, tiny_llava, prepared), "--model.optimizer.init_args.lr=1e30", "--model.warmup=0"]
    assert main(["fit", *options]) == 1
    error = error_of(capsys)
    assert "error: step 2: the cross-entropy of " in error
    assert "is not finite: lower the learning rate" in error
    assert not (run / "checkpoints" / "best.ckpt").exists()


def test_a_gradient_that_is_not_finite_is_named(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(self: GradientCheck, trainer: Any, module: Any) -> None:
        if trainer.global_step == 1:
            next(p for name, p in module.named_parameters() if p.grad is not None and ".block." in name).grad[0] = NAN

    monkeypatch.setattr(GradientCheck, "on_after_backward", spoil)
    assert main(["fit", *arguments(tmp_path / "run", tiny_llava, prepared)]) == 1
    assert "error: step 2: the gradient of backbone.block." in error_of(capsys)


@pytest.mark.filterwarnings("ignore:.* has no .*sha256 beside it")
def test_a_weight_that_is_not_finite_is_neither_saved_nor_used(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fit(tmp_path / "run", tiny_llava, prepared, steps=1)
    best = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(best, weights_only=True)
    name = next(name for name in checkpoint["state_dict"] if ".block." in name)
    checkpoint["state_dict"][name].fill_(NAN)
    spoiled = tmp_path / "spoiled.ckpt"
    torch.save(checkpoint, spoiled)
    assert main(["test", f"--config={run / 'config.yaml'}", f"--ckpt_path={spoiled}"]) == 1
    assert f"cannot be used: the weight {name} is not finite" in error_of(capsys)

    def spoil(self: FiniteCheck, trainer: Any, module: Any, *_: Any) -> None:
        with torch.no_grad():
            module.get_parameter(name).fill_(INF)

    monkeypatch.setattr("gaze_vlm.training.evaluation.refuse_unfinite_scores", lambda *_: None)
    monkeypatch.setattr(FiniteCheck, "on_validation_epoch_end", spoil, raising=False)
    again = tmp_path / "again"
    assert main(["fit", *arguments(again, tiny_llava, prepared, steps=1)]) == 1
    assert f"no checkpoint is written: the weight {name} is not finite" in error_of(capsys)
    assert not list(again.rglob("*.ckpt"))


def step(check: FiniteCheck, losses: dict, gradient: float, scaler: Any = None) -> None:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.grad = torch.full((1, 1), gradient)
    module: Any = layer
    module.losses = losses
    trainer: Any = SimpleNamespace(world_size=1, global_step=6, precision_plugin=SimpleNamespace(scaler=scaler))
    batch = SimpleNamespace(clips=[SimpleNamespace(clip_id="one"), SimpleNamespace(clip_id="two")])
    check.on_train_batch_start(trainer, module, batch, 0)
    check.on_before_backward(trainer, module, torch.ones(()))
    check.on_before_optimizer_step(trainer, module, torch.optim.SGD(layer.parameters()))


def test_the_clip_and_the_term_are_named() -> None:
    check = FiniteCheck()
    step(check, {"cross-entropy": torch.ones(2), "divergence": torch.ones(2, 3)}, 1.0)
    divergence = torch.ones(2, 3)
    divergence[1, 2] = INF
    with pytest.raises(InputError, match=r"^step 7: the divergence of two is not finite: lower"):
        step(check, {"cross-entropy": torch.ones(2), "divergence": divergence}, NAN)
    with pytest.raises(InputError, match=r"^step 7: the gradient of weight is not finite"):
        step(FiniteCheck(), {"cross-entropy": torch.ones(2)}, INF)
    step(FiniteCheck(), {"cross-entropy": torch.ones(2)}, 1e30)  # its square overflows, it does not


def test_the_scaler_of_16_bits_may_skip_a_step_but_not_for_ever() -> None:
    losses = {"cross-entropy": torch.ones(2)}
    step(FiniteCheck(), losses, INF, SimpleNamespace(get_scale=lambda: 65536.0))
    with pytest.raises(InputError, match="gradient of weight"):
        step(FiniteCheck(), losses, INF, SimpleNamespace(get_scale=lambda: 0.5))
    with pytest.raises(InputError, match="cross-entropy of one, two"):
        step(FiniteCheck(), {"cross-entropy": torch.full((2,), NAN)}, INF, SimpleNamespace(get_scale=lambda: 65536.0))


def test_a_validation_that_is_not_finite_names_its_clips() -> None:
    clips = [SimpleNamespace(clip_id=name) for name in ("one", "two")]
    refuse_unfinite_scores(clips, torch.ones(2))
    with pytest.raises(InputError, match="scoring: the cross-entropy of two is not finite"):
        refuse_unfinite_scores(clips, torch.tensor([1, NAN]))
