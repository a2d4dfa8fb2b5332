"""Checks of the model as it is built, without weights."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import Parameter

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.attention.sources import AttentionSource, BlockSource, CapturedSource, check_heads
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.parts import count_numbers
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.errors import InputError
from gaze_vlm.training.checks.problem import Problem, Training, refusals, served_texts

MANY_WEIGHTS = 3e8  # 0.6 GB less in 16 bits
LARGEST_OPTION = 1e30  # of an optimiser: what it computes with is in fp32


def something_trainable(training: Training) -> Iterable[Problem]:
    """Check that at least one parameter is trainable."""
    if not any(training.module.backbone.trainable_parameters().values()):
        yield Problem("nothing is trainable: name a part in `train` or `lora`, or give the backbone a `block`")


def divergence_has_gradient(training: Training) -> Iterable[Problem]:
    """Check that something trainable lies below the regularized attention."""
    regularizer, backbone = training.module.regularizer, training.module.backbone
    is_active = regularizer is not None and regularizer.is_active
    if is_active and backbone.options.vit_layers and not backbone.trainable_parameters()["vision"]:
        yield Problem(
            "the divergence has no gradient: vit_layers look into a frozen vision tower; put vision into `train` or "
            "into lora.parts, or regularize a `block`"
        )


def frozen_weights_in_16_bits(training: Training) -> Iterable[Problem]:
    """Warn of many frozen weights of the language model in 32 bits that each pass, so each token, rounds to 16."""
    backbone = training.module.backbone
    if training.precision != "bf16-mixed" or backbone.options.dtype != "float32" or backbone.options.quantization:
        return
    frozen = count_numbers(p for p in backbone.parameters_by_part()["language"] if not p.requires_grad)
    if frozen >= MANY_WEIGHTS:
        yield Problem(
            f"{frozen / 1e9:.1f} billion frozen weights of the language model are kept in 32 bits, and "
            "bf16-mixed rounds them to 16 again for every token of an answer: with `dtype: bfloat16` in the "
            f"backbone's init_args they take {2e-9 * frozen:.1f} GB less, and answers less time",
            fatal=False,
        )


def heads_there(training: Training) -> Iterable[Problem]:
    """Check that the attention has the heads that are asked for."""
    backbone = training.module.backbone
    for count in sorted(set(numbers_of_heads(backbone.source))):
        yield from refusals(partial(check_heads, backbone.options.heads, count, f"attention has {count} heads"))


def numbers_of_heads(source: AttentionSource | None) -> Iterator[int]:
    """Yield how many heads each layer of a source has, where its module or the model's configuration says so."""
    modules: Sequence[nn.Module] = ()
    if isinstance(source, CapturedSource):
        modules = source.capture.modules
    elif isinstance(source, BlockSource) and isinstance(source.block, GazeBlock):
        modules = [source.block.attentions[-1]]
    for module in modules:
        of_config = getattr(getattr(module, "config", None), "num_attention_heads", None)
        count = getattr(module, "num_heads", getattr(module, "heads", of_config))
        if count is not None:
            yield count


def clips_fit(training: Training) -> Iterable[Problem]:
    """Check that the chat template takes the questions, and the model the frames."""
    data, collator = training.data, training.module.backbone.collator()
    records = [record for dataset in data.datasets.values() for record in dataset.records]
    text = longest_text(data) or ""
    for record in {record.frames: record for record in records}.values():
        too_odd = list(refusals(partial(collator.check_frames, record.clip_id, record.frames)))
        yield from too_odd
        if not too_odd:
            for task in data.tasks:
                yield from refusals(partial(_check_tokens, collator, data.prompts[task], text, record.frames))


def _check_tokens(collator: Collator, prompt: str, text: str, frames: int) -> None:
    question, answer = collator.tokenize(prompt, text, [float(frame) for frame in range(1, frames + 1)])
    collator.check_length(len(question) + len(answer), f"a clip of {frames} frames with the longest text")


def longest_text(data: ClipDataModule) -> str | None:
    """Return the longest text of the clips that are served, in bytes; None where there is no clip."""
    return max((text for _, text in served_texts(data)), key=lambda text: len(text.encode()), default=None)


def optimizer_fits(training: Training) -> Iterable[Problem]:
    """Check that the optimiser takes its options, and that each learning rate is of a part that is trainable.

    A number that is not finite, or too large, would overflow in the first step.
    """
    module = training.module

    def make() -> None:
        # Of one small parameter for all of a group: the model's own are on no device yet.
        groups = [{**group, "params": [Parameter(torch.zeros(1))]} for group in module.parameter_groups()]
        for group in module.optimizer_of(groups).param_groups if groups else ():
            for name, value in group.items():
                if isinstance(value, int | float) and not abs(value) <= LARGEST_OPTION:
                    raise InputError(f"model.optimizer: {name} is {value:g}; expected {LARGEST_OPTION:g} or less")

    return refusals(make)
