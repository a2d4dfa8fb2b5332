"""What the doctor says that a layer keeps for its backward pass, against what autograd saves."""

from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from backbone_families import DEVICE, Family, make_backbone, make_batch
from gaze_vlm.backbones import Backbone, Lora
from gaze_vlm.doctor.memory import layer_of, stack_of


def saved_bytes(backbone: Backbone, layer: nn.Module) -> tuple[int, torch.Size]:
    """Bytes that a layer saves in a forward pass under autocast, parameters left out; and the shape of its tokens."""
    parameters = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
    saved: dict[int, Tensor] = {}  # kept, so that no other tensor takes its place in memory
    before: list[int] = []
    shapes: list[torch.Size] = []

    def total() -> int:
        return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in parameters:
            saved.setdefault(place, tensor)
        return tensor

    def enter(_: nn.Module, args: tuple, kwargs: dict) -> None:
        shapes.append((args[0] if args else kwargs["hidden_states"]).shape)
        before.append(total())

    layer.register_forward_pre_hook(enter, with_kwargs=True)
    layer.register_forward_hook(lambda *_: before.append(total()))
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast(DEVICE.type, torch.bfloat16),
    ):
        backbone(make_batch(backbone))
    return before[1] - before[0], shapes[0]


@pytest.mark.parametrize("part", ["vision", "language"])
def test_a_layer_keeps_what_the_doctor_says(family: Family, checkpoint: Path, part: str) -> None:
    if (family.name, part) == ("narrator", "language"):
        return  # keys and values of the visual tokens outweigh the few tokens of its text
    lora = Lora(("vision", "language"), rank=2)
    backbone = make_backbone(family, checkpoint, None, train=(), lora=lora, dtype="bfloat16")
    attentions = backbone.vit_attention_modules() if part == "vision" else backbone.language_attention_modules()
    layer = layer_of(backbone.hf, attentions[max(attentions)])
    size, shape = saved_bytes(backbone, layer)
    kept = stack_of(backbone.hf, attentions, shape[-1], 0).kept
    assert size / (2 * shape.numel()) == pytest.approx(kept, rel=0.2)


def test_under_autocast_inputs_of_lora_are_kept_once(family: Family, checkpoint: Path) -> None:
    """peft's own cast makes a copy for each layer; what is learned is the same bit for bit."""

    def gradients_and_bytes(peft_casts: bool) -> tuple[dict[str, Tensor], int]:
        lora = Lora(("language",), rank=2)
        backbone = make_backbone(family, checkpoint, None, train=(), lora=lora, dtype="bfloat16")
        layers = [module for module in backbone.modules() if isinstance(module, LoraLayer)]
        for layer in layers:
            nn.init.ones_(layer.lora_B["default"].weight)  # which begins as zeros, and A would have no gradient
            if peft_casts:
                del layer._cast_input_dtype
        attentions = backbone.language_attention_modules()
        size, _ = saved_bytes(backbone, layer_of(backbone.hf, attentions[max(attentions)]))
        with torch.autocast(DEVICE.type, torch.bfloat16):
            backbone(make_batch(backbone)).cross_entropy.sum().backward()
        return {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}, size

    (ours, our_bytes), (pefts, pefts_bytes) = gradients_and_bytes(False), gradients_and_bytes(True)
    assert ours.keys() == pefts.keys()
    assert all(torch.equal(ours[name], pefts[name]) for name in ours)
    assert any(gradient.any() for gradient in ours.values())
    assert our_bytes < pefts_bytes
