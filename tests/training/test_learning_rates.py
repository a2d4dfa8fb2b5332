"""Groups of the optimiser, its schedule, and the check that each trainable parameter gets a gradient."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torch
from transformers import get_scheduler

from backbone_families import FAMILIES, Family, make_batch
from gaze_vlm.attention import GazeBlock
from gaze_vlm.backbones import Lora
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.cli import main
from gaze_vlm.training.callbacks import GradientCheck
from gaze_vlm.training.module import GazeVLM, LearningRateSchedule
from training_files import ROOT

QWEN = next(family for family in FAMILIES if family.name == "qwen2.5-vl-image")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a Qwen: its projector lies inside its tower, its head shares the weight of the embeddings."""
    folder = tmp_path_factory.mktemp("qwen")
    model, processor = QWEN.build()
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    model.tie_weights()
    save_checkpoint(model, processor, folder)
    return folder


def make_module(family: Family, checkpoint: Path, learning_rates: dict[str, float], **options: object) -> GazeVLM:
    backbone = family.make(
        str(checkpoint),
        block=partial(GazeBlock, heads=2, head_width=8, output="modulate"),
        frame_size_px=family.frame_size_px,
        **options,
    )
    module = GazeVLM(backbone, learning_rates=learning_rates, encoder=SimpleNamespace(encode=None))  # type: ignore[arg-type]
    module.configure_model()
    return module


def test_each_parameter_is_in_one_group(checkpoint: Path) -> None:
    rates = {"vision": 1e-6, "projector": 1e-5, "block": 1e-3}
    module = make_module(QWEN, checkpoint, rates, train=("vision", "projector", "language"))
    optimizer = torch.optim.AdamW(module.parameter_groups(), lr=1e-4)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-4, *rates.values()]
    rate_of = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(rate_of)
    assert rate_of.keys() == {p for p in module.parameters() if p.requires_grad}
    model = module.backbone.hf.model
    assert {rate_of[p] for p in model.visual.merger.parameters()} == {1e-5}
    assert {rate_of[p] for p in model.visual.blocks.parameters()} == {1e-6}
    assert module.backbone.hf.lm_head.weight is model.language_model.embed_tokens.weight
    assert {rate_of[p] for p in module.backbone.parts()["language"][0].parameters()} == {1e-4}


def test_lora_has_the_rate_of_its_part(checkpoint: Path) -> None:
    module = make_module(QWEN, checkpoint, {"language": 2e-4}, train=("projector",), lora=Lora(rank=2))
    _, language = module.parameter_groups()
    lora = {p for name, p in module.named_parameters() if "lora_" in name}
    assert set(language["params"]) == lora


@pytest.mark.parametrize("part", ["vision", "head"])
def test_a_rate_of_what_does_not_learn_is_refused(checkpoint: Path, part: str) -> None:
    module = make_module(QWEN, checkpoint, {part: 1e-4})
    with pytest.raises(
        ValueError, match=f"names {part}, of which nothing is trainable: trainable are projector, language, block"
    ):
        module.parameter_groups()


def test_a_trainable_parameter_without_a_gradient_is_refused(checkpoint: Path) -> None:
    module = make_module(QWEN, checkpoint, {})
    first = next(iter(module.backbone.block.to_latent.parameters()))
    module.backbone(make_batch(module.backbone)).cross_entropy.sum().backward()
    check = GradientCheck()
    check.on_after_backward(None, module)  # type: ignore[arg-type]  # all have one
    first.grad = None
    check.on_after_backward(None, module)  # type: ignore[arg-type]  # it looks once
    with pytest.raises(
        ValueError, match=r"1 trainable parameters .* such as backbone.block.to_latent.0.weight: .* out of `train`"
    ):
        GradientCheck().on_after_backward(None, module)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", get_args(LearningRateSchedule))
def test_a_schedule_goes_by_the_librarys_own_name(name: str) -> None:
    """It needs no more than the numbers of steps; the learning rate rises, and never leaves [0, 1]."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = get_scheduler(name, optimizer, num_warmup_steps=2, num_training_steps=10)
    rates = [schedule.get_last_lr()[0]]
    for _ in range(10):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert 0 <= min(rates) <= max(rates) <= 1
    assert rates[2] == 1


def test_the_command_line_shows_and_takes_these_names(capsys: pytest.CaptureFixture) -> None:
    config = f"--config={ROOT / 'lightning_configs' / 'kitchen' / 'gaze.yaml'}"
    for option, shown in ((), "cosine"), (("--model.schedule=constant_with_warmup",), "constant_with_warmup"):
        with pytest.raises(SystemExit):
            main(["fit", config, *option, "--print_config"])
        assert f"\n  schedule: {shown}\n" in capsys.readouterr().out
