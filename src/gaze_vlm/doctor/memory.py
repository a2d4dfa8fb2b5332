"""GPU memory that a training takes, by rules of thumb; each formula stands in its function's docstring."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from gaze_vlm.backbones.lora import LINEAR
from gaze_vlm.training.module import GazeVLM

GB = 1e9
FOUR_BIT_BYTES = 4.127 / 8  # NF4 with double quantization, Dettmers et al. 2023 (arXiv 2305.14314), §3
# Of each trainable number; Adafactor keeps a row and a column of a matrix.
STATES = {"SGD": 0, "Adagrad": 1, "RMSprop": 1, "ASGD": 1, "Muon": 1, "Adafactor": 0}


def weight_bytes(parameters: Iterable[nn.Parameter], quantized: Collection[Tensor] = ()) -> float:
    """Σ numbers · bytes of their dtype; 4.127 bits each where quantized.

    The scales are included.
    """
    return sum(p.numel() * (FOUR_BIT_BYTES if p in quantized else p.element_size()) for p in parameters)


def gradient_bytes(trainable: Iterable[nn.Parameter]) -> float:
    """Σ trainable numbers · bytes of their dtype."""
    return float(sum(p.numel() * p.element_size() for p in trainable))


def cast_bytes(trainable: Iterable[nn.Parameter], autocast: bool) -> float:
    """2 · trainable numbers of 32 bits under autocast, else 0.

    It keeps a copy of 16 bits of each for a step.
    """
    return float(sum(2 * p.numel() for p in trainable if p.dtype == torch.float32)) if autocast else 0.0


def states_per_number(make_optimizer: Callable[..., torch.optim.Optimizer]) -> int:
    """Count the numbers that an optimiser keeps for each trainable one.

    2 for Adam and any unknown, 0 for plain SGD. By its class and options alone: it is not built, since only a training
    runs what a configuration names.

    Args:
        make_optimizer: the class, or a `partial` that holds it and its options.
    """
    options: dict[str, Any] = {}
    named: Any = make_optimizer
    if isinstance(make_optimizer, partial):  # as jsonargparse makes it of a class and its options
        options = make_optimizer.keywords
        named = next((part for part in (make_optimizer.func, *make_optimizer.args) if isinstance(part, type)), None)
    states = STATES.get(getattr(named, "__name__", ""), 2)
    return states + sum(bool(options.get(name)) for name in ("momentum", "amsgrad", "centered"))


@dataclass(frozen=True)
class LayerStack:
    """A stack of transformer layers that the backward pass goes through.

    Args:
        layers: how many.
        width: of a token.
        tokens: that a batch has there.
        kept: what a layer keeps of a token for its backward pass, in widths of a token; see `kept_widths`.
    """

    layers: int
    width: int
    tokens: int
    kept: float


def activation_bytes(stacks: Iterable[LayerStack], bytes_per_number: int, checkpointing: bool) -> float:
    """Σ kept · bytes · tokens · width · layers.

    With gradient checkpointing a layer keeps its input, 1 in place of `kept`, and one whole layer at a time is there
    beside, the largest.
    """
    inputs = [(stack, bytes_per_number * stack.tokens * stack.width) for stack in stacks]
    if not checkpointing:
        return float(sum(stack.kept * stack.layers * one for stack, one in inputs))
    return float(sum(stack.layers * one for stack, one in inputs)) + max((s.kept * one for s, one in inputs), default=0)


def kept_widths(layer: nn.Module, width: int) -> float:
    """Return what a layer keeps of a token for its backward pass, in widths.

    11 + 2 · RMSNorms + 2 · inner / width, or 4 · inner / width where the feed-forward is gated. 11 for attention
    without a map of scores, the residual stream and two norms; an RMSNorm keeps what it computes in 32 bits; the
    feed-forward keeps what goes into and comes out of its nonlinearity, and of a gated one the gate and the product
    too. tests/backbones/test_memory_of_layers.py holds it to what autograd saves, within a fifth, in layers of every
    family with LoRA.
    """
    inputs_outputs = [
        tuple(module.weight.shape) if isinstance(module, Conv1D) else (module.in_features, module.out_features)
        for module in layer.modules()
        if isinstance(module, LINEAR)
    ]
    inner = max(inputs for inputs, _ in inputs_outputs)
    # A gate and what it opens are two layers, or one twice as wide.
    into = sum(outputs for inputs, outputs in inputs_outputs if inputs == width and outputs % inner == 0)
    norms = sum(type(module).__name__.endswith("RMSNorm") for module in layer.modules())
    return 11 + 2 * norms + (4 if into == 2 * inner else 2) * inner / width


def stack_of(model: nn.Module, attentions: Mapping[int, nn.Module], width: int, tokens: int) -> LayerStack:
    """Return the stack whose layers hold these attention modules."""
    layer = layer_of(model, attentions[max(attentions)])
    return LayerStack(max(attentions) + 1, width, tokens, kept_widths(layer, width))


def layer_of(model: nn.Module, attention: nn.Module) -> nn.Module:
    """Return the layer that an attention module lies in.

    It is the last part of the name that has a number. Before transformers 5.18, DINOv2's attention lies in another.
    """
    names = next(name for name, module in model.named_modules() if module is attention).split(".")
    return model.get_submodule(".".join(names[: 1 + max(i for i, name in enumerate(names) if name.isdigit())]))


def logit_bytes(answer_tokens: int, vocabulary: int) -> float:
    """12 · answer tokens · vocabulary.

    The logits in 32 bits, their log-probabilities and their gradient.
    """
    return 12.0 * answer_tokens * vocabulary


def width_of(config: Any) -> int:
    """Return a tower's token width; Qwen2-VL's `hidden_size` is its output's."""
    return int(getattr(config, "embed_dim", config.hidden_size))


def estimate(
    module: GazeVLM, batch_size: int, precision: str, frames: int, sequence: int, answer: int
) -> dict[str, float]:
    """Estimate the bytes by what takes them; the last is the sum.

    Activations with and without checkpointing stand beside each other.

    Args:
        module: with its backbone loaded, be it on the meta device.
        batch_size: samples a GPU.
        precision: the trainer's.
        frames: of a clip.
        sequence: tokens of a sample, prompt and answer.
        answer: those of the answer.
    """
    backbone = module.backbone
    trainable_of = backbone.trainable_parameters()
    trainable = [parameter for parameters in trainable_of.values() for parameter in parameters]
    language, config = backbone.parts()["language"][0], backbone.hf.config
    linear = [module for module in language.modules() if isinstance(module, nn.Linear)]
    quantized = {m.weight for m in linear if not m.weight.requires_grad} if backbone.options.quantization else set()
    autocast = "mixed" in precision
    half = "16" in precision or backbone.options.dtype == "bfloat16"
    vision, text = (getattr(config, name) for name in backbone.config_names)
    attentions = backbone.language_attention_modules()
    stacks = [stack_of(backbone.hf, attentions, width_of(text), batch_size * sequence)]
    if trainable_of["vision"]:
        patches = frames // backbone.layout.frames_per_group * len(backbone.layout.vit)
        attentions = backbone.vit_attention_modules()
        stacks.append(stack_of(backbone.hf, attentions, width_of(vision), batch_size * patches))
    kept, checkpointed = (activation_bytes(stacks, 2 if half else 4, checkpointing) for checkpointing in (False, True))
    rest = {
        "weights": weight_bytes(backbone.parameters(), quantized),
        "gradients": gradient_bytes(trainable),
        "optimiser states": states_per_number(module.make_optimizer) * gradient_bytes(trainable),
        "weights cast to 16 bits": cast_bytes(trainable, autocast),
        "logits": logit_bytes(batch_size * answer, text.vocab_size),
    }
    checkpointing = backbone.options.gradient_checkpointing
    return {
        **rest,
        "activations without checkpointing": kept,
        "activations with checkpointing": checkpointed,
        f"in all, {'with' if checkpointing else 'without'} checkpointing": sum(rest.values())
        + (checkpointed if checkpointing else kept),
    }
