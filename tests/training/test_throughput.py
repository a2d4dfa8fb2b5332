"""How fast a training is: counted as another way counts, and without a trace in what it learns."""

import csv
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from event_files import scalars
from gaze_vlm.cli import main
from gaze_vlm.training import flops, throughput
from gaze_vlm.training.flops import FlopCount
from gaze_vlm.training.throughput import StepClock
from training_files import arguments, learned

STEPS = 4


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "throughput.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_a_training_says_how_fast_it_is(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """With operations counted or not, it learns the same and logs the same."""
    run, uncounted = tmp_path / "run", tmp_path / "uncounted"
    options = ["--data.features=null", "--trainer.accumulate_grad_batches=2", "--data.batch_size=1"]
    assert main(["fit", *arguments(run, tiny_llava, prepared, steps=STEPS), *options, "--run.peak_tflops=1e-3"]) == 0
    measured = rows(run)
    assert [row["step"] for row in measured] == [1, 2, 3]  # the first step warms up
    for row in measured:
        clips = row["clips_per_s"] * row["seconds"]
        assert clips == pytest.approx(2, rel=1e-4)
        assert row["tokens_per_s"] * row["seconds"] > 10 * clips
        assert 0 <= row["data_wait"] < 1
        assert row["mfu"] > 0
    assert any(row["data_wait"] for row in measured)
    curves = scalars(run / "tensorboard")
    assert [*curves["throughput/mfu"].values()] == pytest.approx([row["mfu"] for row in measured], rel=1e-4)
    assert re.search(r"training: 3/4 .* clips_per_s \d", capsys.readouterr().err)
    assert main(["fit", *arguments(uncounted, tiny_llava, prepared, steps=STEPS), *options]) == 0
    assert not any("mfu" in row for row in rows(uncounted))
    assert (run / "metrics.csv").read_bytes() == (uncounted / "metrics.csv").read_bytes()
    assert all(torch.equal(weight, learned(uncounted)[name]) for name, weight in learned(run).items())


def test_the_clock_counts_steps_and_waits_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now, loader, clock = [0.0], SimpleNamespace(waited_s=0.0), StepClock()
    monkeypatch.setattr(throughput.time, "monotonic", lambda: now[0])

    def at(time_s: float, waited_s: float) -> None:
        now[0], loader.waited_s = time_s, waited_s

    at(5, 4)
    clock.go_on(loader)
    at(7, 5)
    clock.pause()
    at(100, 5.5)  # a validation, and half a second for the next batch
    clock.pause()
    clock.go_on(loader)
    at(103, 6)
    assert clock.take() == (5.5, 2)
    at(104, 6)
    assert clock.take() == (1, 0)


def test_operations_are_those_that_torch_counts() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 16))

    def backward() -> None:
        heads = model(torch.ones(2, 3, 8, 8)).view(2, 1, 4, 4)
        scaled_dot_product_attention(heads, heads, heads).sum().backward()

    with FlopCount() as count:
        backward()
    with FlopCounterMode(display=False) as reference:
        backward()
    assert count.total == reference.get_total_flops() > 0


def test_operations_that_torch_cannot_count_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise AssertionError("grouped heads")

    monkeypatch.setitem(flops.flop_registry, torch.ops.aten.mm, refuse)
    with FlopCount() as count:
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.sum() == 8
    assert "aten.mm" in count.refused
    assert "grouped heads" in count.refused
