from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gaze_vlm.comparison.runs import read_run
from gaze_vlm.training import training_facts
from gaze_vlm.training.configured import load_run
from gaze_vlm.training.training_facts import TrainingFacts, count_parameters
from training_files import fit


def test_a_run_says_what_its_training_cost(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    run = read_run(fit(tmp_path / "run", tiny_llava, prepared))
    model = load_run(tmp_path / "run").model.backbone
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 0 < run.trainable_parameters == trainable < run.parameters == sum(p.numel() for p in model.parameters())
    assert run.train_seconds > 0
    assert run.processes == 1
    assert run.device


def test_seconds_are_those_of_the_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [0.0]
    monkeypatch.setattr(training_facts.time, "monotonic", lambda: now[0])
    facts = TrainingFacts(SimpleNamespace(cost=tmp_path / "training.json"))
    trainer = SimpleNamespace(ckpt_path=None, state=SimpleNamespace(fn="fit"), sanity_checking=False)
    for hook, at in (
        (facts.on_train_start, 5),
        (facts.on_validation_start, 7),  # 2 s of steps
        (facts.on_validation_end, 17),
        (facts.on_validation_start, 20),  # 3 s
        (facts.on_validation_end, 100),
    ):
        now[0] = at
        hook(trainer, nn.Module())
    assert facts.seconds == 5


def test_numbers_of_four_bits_count_as_what_they_stand_for() -> None:
    packed = nn.Parameter(torch.zeros(6, dtype=torch.uint8), requires_grad=False)
    packed.quant_state = SimpleNamespace(shape=torch.Size([3, 4]))
    model = nn.Linear(2, 3)
    model.register_parameter("packed", packed)
    assert count_parameters(model) == {"trainable_parameters": 9, "parameters": 21}
