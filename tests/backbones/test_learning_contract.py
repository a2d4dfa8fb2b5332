"""How every model family learns: LoRA, gradient checkpointing, and no parameter without a gradient."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from backbone_families import Family, make_backbone, make_batch, randomize_lora
from gaze_vlm.backbones import Backbone, Lora
from gaze_vlm.backbones.parts import ModelPart, parameters_by_part
from gaze_vlm.doctor.doctor import count_by_part

ALL: tuple[ModelPart, ...] = ("vision", "projector", "language")


def trainable(backbone: Backbone) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def backward(backbone: Backbone) -> dict[str, Tensor | None]:
    """Gradients of the cross-entropy and, where there is one, of the attention."""
    made = backbone(make_batch(backbone))
    loss = made.cross_entropy.sum()
    if made.attention is not None:
        loss = loss + made.attention.log_probs[..., 0].sum()
    loss.backward()
    return {name: parameter.grad for name, parameter in trainable(backbone).items()}


@pytest.mark.parametrize("part", ALL)
def test_lora_stays_in_its_part(family: Family, checkpoint: Path, part: ModelPart) -> None:
    backbone = make_backbone(family, checkpoint, None, train=(), lora=Lora((part,), rank=2))
    of_part = {id(p) for p in parameters_by_part(backbone.parts())[part]}
    assert {id(p) for p in trainable(backbone).values()} <= of_part
    added = {id(p) for name, p in backbone.named_parameters() if "lora_" in name}
    assert added == {id(p) for p in trainable(backbone).values()}
    assert type(backbone.hf).__module__.startswith("transformers.models.")


def test_lora_starts_from_the_model_and_a_part_learns_fully_beside_it(family: Family, checkpoint: Path) -> None:
    plain = make_backbone(family, checkpoint, None)
    batch = make_batch(plain)
    backbone = make_backbone(family, checkpoint, None, train=("projector",), lora=Lora(("vision", "language"), rank=2))
    assert torch.allclose(backbone(batch).cross_entropy, plain(batch).cross_entropy, atol=1e-5)
    projector = parameters_by_part(backbone.parts())["projector"]
    assert all(p.requires_grad for p in projector)
    randomize_lora(backbone)
    gradients = backward(backbone)
    assert all(gradient is not None and gradient.ne(0).any() for gradient in gradients.values())
    assert len(gradients) > len(projector)


def test_every_trainable_parameter_gets_a_gradient(family: Family, checkpoint: Path) -> None:
    """From the cross-entropy alone, so that processes that train together wait for none."""
    for output in (None, *family.outputs):
        backbone = make_backbone(family, checkpoint, output, train=ALL)
        backbone(make_batch(backbone)).cross_entropy.sum().backward()
        assert [name for name, parameter in trainable(backbone).items() if parameter.grad is None] == []


def count_passes(backbone: Backbone) -> Counter[str]:
    """How often an attention of each tower runs, from now on."""
    passes: Counter[str] = Counter()
    modules = {"vision": backbone.vit_attention_modules(), "language": backbone.language_attention_modules()}
    for tower, attentions in modules.items():
        attentions[min(attentions)].register_forward_pre_hook(lambda *_, tower=tower: passes.update([tower]))
    return passes


THROUGH_LORA = {"train": (), "lora": Lora(("vision", "language"), rank=2)}


@pytest.mark.parametrize(
    "options",
    [
        {"output": None, "vit_layers": (-1,), "train": ALL},
        {"output": None, "language_layers": (-1,), **THROUGH_LORA},
        {"output": "modulate", **THROUGH_LORA},
    ],
    ids=["vit", "language-lora", "block-lora"],
)
def test_gradient_checkpointing_changes_no_gradient(family: Family, checkpoint: Path, options: dict) -> None:
    kept = make_backbone(family, checkpoint, **options)
    recomputed = make_backbone(family, checkpoint, **options, gradient_checkpointing=True)
    randomize_lora(kept)
    recomputed.load_state_dict(kept.state_dict())
    passes = [count_passes(backbone) for backbone in (kept, recomputed)]
    before, after = backward(kept), backward(recomputed)
    assert passes == [{"vision": 1, "language": 1}, {"vision": 2, "language": 2}]
    assert before.keys() == after.keys()
    for name, gradient in before.items():
        assert torch.allclose(gradient, after[name], atol=1e-5 * max(1, gradient.abs().max())), name


def test_checkpointing_leaves_a_frozen_tower_out_of_the_backward_pass(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, None, train=(), lora=Lora(rank=2), gradient_checkpointing=True)
    seen: list[bool] = []
    first = family.first_layer(backbone.hf)
    first.register_forward_hook(
        lambda _, __, made: seen.append((made if isinstance(made, Tensor) else made[0]).requires_grad)
    )
    assert all(gradient is not None for gradient in backward(backbone).values())
    assert seen
    assert not any(seen)


def test_a_model_without_weights_has_the_same_parameters(family: Family, checkpoint: Path) -> None:
    options = {"train": ("projector",), "lora": Lora(("vision", "language"), rank=2), "output": family.outputs[-1]}
    loaded = make_backbone(family, checkpoint, **options)
    empty = make_backbone(family, checkpoint, **options, weights=False)
    assert all(p.is_meta for p in empty.parameters())
    shapes = [
        {name: (p.shape, p.dtype, p.requires_grad) for name, p in one.named_parameters()} for one in (loaded, empty)
    ]
    assert shapes[0] == shapes[1]
    counts = count_by_part(empty)
    assert counts == count_by_part(loaded)
    assert counts["all"] == tuple(
        sum(p.numel() for p in parameters) for parameters in (loaded.parameters(), trainable(loaded).values())
    )
