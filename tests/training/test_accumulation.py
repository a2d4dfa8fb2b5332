"""The loss of an optimiser step is that of one large batch, over accumulated batches and over processes."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from backbone_families import FAMILIES, make_backbone, make_batch
from gaze_vlm.attention import GazeRegularizer
from gaze_vlm.cli import main
from gaze_vlm.datamodules.batches import StepLoader
from gaze_vlm.datamodules.clip import Task, totals_of
from gaze_vlm.training.module import GazeVLM
from training_files import arguments


def step(run: Path, checkpoint: Path, store: Path, batch_size: int, accumulated: int, *more: str) -> dict:
    """One step of gradient descent at rate 1 on four samples; the weights, which differ by the gradient."""
    sgd = run.parent / "sgd.yaml"
    sgd.write_text("model: {optimizer: {class_path: torch.optim.SGD, init_args: {lr: 1.0}}}")
    options = [
        *arguments(run, checkpoint, store, steps=1),
        f"--config={sgd}",
        "--trainer.gradient_clip_val=null",
        "--trainer.limit_val_batches=1",
        f"--data.batch_size={batch_size}",
        f"--trainer.accumulate_grad_batches={accumulated}",
        *more,
    ]
    assert main(["fit", *options]) == 0
    return torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]


def logged(run: Path, name: str) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def test_accumulated_batches_are_one_large_batch(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    large = step(tmp_path / "large", tiny_llava, prepared, 4, 1)
    small = step(tmp_path / "small", tiny_llava, prepared, 1, 4)
    assert large.keys() == small.keys()
    for name, value in large.items():
        assert torch.allclose(value, small[name], atol=1e-6, rtol=0), name
    for name in ("cross_entropy", "divergence", "lambda", "valid_frames"):
        (of_large,), (of_small,) = (logged(tmp_path / run, f"train/{name}") for run in ("large", "small"))
        assert of_small == pytest.approx(of_large, abs=1e-5), name


def test_a_calibrated_weight_moves_once_a_step(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    calibrated = ["--model.regularizer.init_args.schedule=calibrated", "--model.ratio_every_n_steps=1"]
    weight = step(tmp_path / "run", tiny_llava, prepared, 1, 4, *calibrated)["regularizer.weight"]
    (ratio,) = logged(tmp_path / "run", "train/gradient_ratio")
    assert float(weight) == pytest.approx(ratio**-0.5, rel=1e-4)


def test_a_loader_drops_what_does_not_fill_a_step() -> None:
    batch = SimpleNamespace(tokens=torch.tensor(2.0), valid=torch.tensor([[True, False]]), step=None)
    loader = StepLoader([batch] * 8, 3, batch_size=1, collate_fn=lambda one: SimpleNamespace(**vars(one[0])))  # type: ignore[arg-type]
    served = list(loader)
    assert len(loader) == len(served) == 6
    assert [one.step.position for one in served] == [0, 1, 2, 0, 1, 2]
    assert all((one.step.tokens, one.step.valid, one.step.frames) == (6, 3, 6) for one in served)


@pytest.mark.parametrize("valid_here", [True, False])
def test_the_mean_over_processes_is_exact_with_one_valid_frame(
    valid_here: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two processes, of which this or none has the only valid frame; `ddp` takes the mean of their gradients."""
    from gaze_vlm.backbones.loading import save_checkpoint

    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(*FAMILIES[0].build(), folder)
    backbone = make_backbone(FAMILIES[0], folder, "mean")
    module = GazeVLM(backbone, GazeRegularizer(), ratio_every_n_steps=0)
    values: dict[str, torch.Tensor] = {}
    module.log = lambda name, value, **_: values.update({name: value})  # type: ignore[method-assign, assignment]
    # Of what the step counts and logs, the second is half here: the valid frames, and then the divergence.
    strategy = SimpleNamespace(reduce=lambda here, reduce_op: torch.cat([here[:1], here[1:2] / 2, here[2:]]))
    module._trainer = SimpleNamespace(log_every_n_steps=1, world_size=2, strategy=strategy, global_step=0)  # type: ignore[assignment]
    batch = make_batch(backbone)
    batch.valid[:] = False
    batch.valid[0, 0] = valid_here
    batch.gaze[:] = float("nan")
    batch.gaze[0, 0] = torch.eye(batch.gaze.shape[-1])[0]
    assert totals_of([batch])[0].valid == float(valid_here)
    loss = module.training_step(batch, 0)
    output = backbone(batch)
    frames, _ = GazeRegularizer()(output.attention, batch.gaze, batch.valid)
    assert float(values["train/divergence"]) == pytest.approx(float(frames.sum().detach()), abs=1e-6)
    loss.backward()
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_lambda_may_differ_by_task(tmp_path_factory: pytest.TempPathFactory) -> None:
    from gaze_vlm.backbones.loading import save_checkpoint

    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(*FAMILIES[0].build(), folder)
    backbone = make_backbone(FAMILIES[0], folder, "mean")
    batch = make_batch(backbone)
    batch.clips[1].task = "future"

    def loss(weights: dict[Task, float] | None) -> float:
        module = GazeVLM(backbone, GazeRegularizer(2.0), weights, ratio_every_n_steps=0)
        module.log = lambda *_, **__: None  # type: ignore[method-assign]
        strategy = SimpleNamespace(reduce=lambda here, reduce_op: here)
        module._trainer = SimpleNamespace(log_every_n_steps=1, world_size=1, strategy=strategy, global_step=0)  # type: ignore[assignment]
        return float(module.training_step(batch, 0).detach())

    output = backbone(batch)
    frames, valid = GazeRegularizer()(output.attention, batch.gaze, batch.valid)
    cross_entropy = float((output.cross_entropy.sum() / output.tokens).detach())
    share = (frames.sum(1) / valid).tolist()  # of each sample in the KL
    assert loss(None) == pytest.approx(cross_entropy + 2 * sum(share), rel=1e-5)
    assert loss({"future": 0.0}) == pytest.approx(cross_entropy + 2 * (share[0] + share[2]), rel=1e-5)
    assert loss({"activity": 0.0, "future": 3.0}) == pytest.approx(cross_entropy + 6 * share[1], rel=1e-5)
