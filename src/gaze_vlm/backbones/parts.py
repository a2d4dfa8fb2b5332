"""A model's parts, and which of its parameters are whose."""

from collections.abc import Iterable
from typing import Any, Literal

from torch import nn

ModelPart = Literal["vision", "projector", "language"]
ModelParts = dict[ModelPart, list[nn.Module]]  # a part that lies inside another's modules stands behind it


def part_of_modules(parts: ModelParts) -> dict[nn.Module, ModelPart]:
    """Map each module to its part; to the inner where one lies inside another."""
    return {module: part for part, roots in parts.items() for root in roots for module in root.modules()}


def parameters_by_part(parts: ModelParts) -> dict[str, list[nn.Parameter]]:
    """List the parameters of each part, each once, even if two modules share it."""
    part_of = {parameter: part for part, roots in parts.items() for root in roots for parameter in root.parameters()}
    return {part: [parameter for parameter, owner in part_of.items() if owner == part] for part in parts}


def count_numbers(parameters: Iterable[nn.Parameter]) -> int:
    """Count the numbers that parameters hold.

    Those of 4 bits count as the numbers that they stand for.
    """
    return sum(map(_numbers, parameters))


def _numbers(parameter: nn.Parameter) -> int:
    quantized = getattr(parameter, "quant_state", None)  # bitsandbytes packs two numbers into a byte
    return parameter.numel() if quantized is None else int(quantized.shape.numel())


def used_layers(layers: Iterable[nn.Module], feature_layer: int) -> list[Any]:
    """List the vision layers below the hidden state that the model reads."""
    layers = list(layers)
    return layers[: range(len(layers) + 1)[feature_layer]]


def unused_layers(layers: Iterable[nn.Module], feature_layer: int) -> list[nn.Module]:
    """List the vision layers above the hidden state that the model reads."""
    layers = list(layers)
    return layers[range(len(layers) + 1)[feature_layer] :]


def parameters_of(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """List all parameters of some modules."""
    return [parameter for module in modules for parameter in module.parameters()]
