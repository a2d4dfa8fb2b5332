"""What FSDP2 gathers in which precision, and what cannot be sharded; test_ddp.py trains with it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from backbone_families import FAMILIES, make_backbone, make_batch
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.lora import Lora
from gaze_vlm.errors import InputError
from gaze_vlm.training.checks import problems
from gaze_vlm.training.configured import configure
from gaze_vlm.training.fsdp2 import check_shardable, mixed_precision, shard
from gaze_vlm.training.module import GazeVLM
from training_files import arguments


def test_layers_are_gathered_in_16_bits_and_the_block_in_its_own(alone: DeviceMesh, tiny_llava: Path) -> None:
    backbone = make_backbone(FAMILIES[0], tiny_llava, train=("projector", "language"))
    tower = {name: p.clone() for name, p in backbone.named_parameters() if "vision_tower" in name}
    shard(module := GazeVLM(backbone), alone, mixed_precision("bf16-mixed"), reshard_after_forward=True)
    frozen = {name: p for name, p in backbone.named_parameters() if "vision_tower" in name}
    assert all(not isinstance(p, DTensor) and torch.equal(p, tower[name]) for name, p in frozen.items())
    assert all(isinstance(p, DTensor) for p in backbone.parameters() if p.requires_grad)
    ran: dict[str, torch.dtype] = {}
    for name, layer in (("language", backbone.parts()["language"][0].layers[0]), ("block", backbone.block)):  # type: ignore[index, union-attr]
        weight = next(n for n, _ in layer.named_parameters())  # type: ignore[union-attr]
        layer.register_forward_hook(  # type: ignore[union-attr]
            lambda one, *_, name=name, weight=weight: ran.update({name: one.get_parameter(weight).dtype}), prepend=True
        )
    module.evaluation = SimpleNamespace(score=backbone)  # type: ignore[assignment]
    with torch.autocast("cpu", torch.bfloat16):
        module.validation_step(make_batch(backbone), 0)
    assert ran == {"language": torch.bfloat16, "block": torch.float32}


def test_what_cannot_be_sharded_is_refused(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    strategy = "--trainer.strategy=gaze_vlm.training.fsdp2.FSDP2Strategy"
    options = ["--trainer.precision=16-mixed", "--model.backbone.init_args.quantization=4bit"]
    found, _ = problems(configure([*arguments(tmp_path / "run", tiny_llava, prepared), strategy, *options]).training)
    fatal = "\n".join(problem.text for problem in found if problem.fatal)
    assert "trainer.precision is 16-mixed: under fsdp2 choose 32-true or bf16-mixed" in fatal
    assert "weights of 4 bits cannot be sharded" in fatal


def test_a_layer_that_is_trained_in_two_precisions_is_refused(tmp_path: Path) -> None:
    """The narrator's cross-attention lies in the language model's layers, and belongs to the projector."""
    narrator = next(family for family in FAMILIES if family.name == "narrator")
    save_checkpoint(*narrator.build(), tmp_path)
    options = {"train": ("projector",), "lora": Lora(), "dtype": "bfloat16"}
    with pytest.raises(InputError, match="weights of bfloat16 and float32 are trained in one layer"):
        check_shardable(make_backbone(narrator, tmp_path, weights=False, **options))
