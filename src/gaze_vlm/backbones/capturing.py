"""The attention of a model that its user loaded and trains: captured from its fast path, frame by frame."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze_vlm.attention.capture import AttentionCapture, use_capturing_attention
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.sources import (
    Layers,
    Tower,
    answer_attention,
    choose_layers,
    class_token_attention,
    mean_attention,
    places_of,
    predicts_answer,
    side_by_side,
)
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.placement import Place, alike, place_frames
from gaze_vlm.backbones.plain import family_of_model
from gaze_vlm.errors import InputError
from gaze_vlm.precision import upcast


@contextmanager
def capture_attention(
    model: nn.Module, layers: Layers = "all", tower: Tower = "language", heads: Sequence[int] = ()
) -> Iterator["CapturedAttention"]:
    """Capture where a `transformers` model looks in the one forward pass that runs within.

    The model is any native LLaVA 1.5, LLaVA-NeXT-Video, LLaVA-OneVision, Qwen2-VL, Qwen2.5-VL, Qwen3-VL, InternVL 3 or
    SmolVLM with its language head, loaded by its user. It reads what its own processor made. PEFT, DDP or accelerate
    may wrap it; it may checkpoint its activations, but not re-entrantly.

    Only the queries and keys of the chosen layers are kept. The model stays on scaled-dot-product attention: the chosen
    tower is set to that, whatever it ran before, and so it remains. Generation outside is untouched.

    Args:
        model: the model, or what wraps it.
        layers: numbers of the layers, negative ones from the last, or `all`. Several stand beside each other as more
            heads.
        tower: `language`, where the answer's tokens look among the visual tokens, or `vision`, where the vision tower
            looks among its patches.
        heads: these heads of each layer alone; all by default.

    Yields:
        What gives the attention once the model has run.

    Raises:
        InputError: a model of another family, or a layer that it does not have.

    Example:
        A tiny model of random weights reads a picture of noise:

        >>> import torch
        >>> from gaze_vlm.backbones.tiny.llava import build_tiny_llava
        >>> model, processor = build_tiny_llava(["look", "cup"])
        >>> picture = torch.randint(256, (3, 96, 96), dtype=torch.uint8)
        >>> inputs = processor(images=picture, text="<image> look cup", return_tensors="pt")
        >>> labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == model.config.image_token_id, -100)
        >>> with capture_attention(model, layers=[-1]) as captured:
        ...     loss = model(**inputs, labels=labels).loss
        >>> (attention,) = captured.attention({**inputs, "labels": labels})
        >>> attention.grid, attention.log_probs.shape  # sample, frame, head, patch
        (Grid(rows=8, columns=8), torch.Size([1, 1, 4, 64]))
    """
    family = family_of_model(model)
    modules = family.language_attention_modules() if tower == "language" else family.vit_attention_modules()
    chosen = choose_layers(modules, layers, "layers")
    if not chosen:
        raise InputError("layers is empty: name one, or `all`")
    (own, *_) = family.parts()[tower]
    use_capturing_attention(own)
    captured = CapturedAttention(family, tower, AttentionCapture([*chosen.values()]), heads)
    with captured.capture.capturing():
        yield captured


class CapturedAttention:
    """What `capture_attention` captured of a forward pass."""

    def __init__(self, family: Backbone, tower: Tower, capture: AttentionCapture, heads: Sequence[int]) -> None:
        self.family = family
        self.tower: Tower = tower
        self.capture = capture
        self.heads = [*heads]

    def attention(self, inputs: Mapping[str, Any]) -> list[PatchAttention]:
        """Return the attention over the patches of each frame, and forget it.

        A frame is an image, a frame of a video, or the frames that Qwen's vision tower takes as one. An image that the
        model also reads in tiles is compared on its whole view. Of the language model it is the mean over the tokens
        that predict an answer's: those with labels, behind the last image of their sample.

        Args:
            inputs: what the model read, on its device: `input_ids`, and what the processor made beside it; for the
                language tower `labels` [batch, token] too, -100 where a token is not of an answer.

        Returns:
            The frames in the order of the batch. Samples that follow each other with as many frames on one grid are one
            `PatchAttention`, log-probabilities [sample, frame, head, patch] in fp32; where all samples are alike it is
            the only one.

        Raises:
            InputError: no image, no labels, an answer without a token, or a head that a layer does not have.
            RuntimeError: the model did not run, or this was called twice.
        """
        places = place_frames(self.family, inputs)
        if not places:
            raise InputError("there is no image in the batch: its text has no visual token")
        parts = [*alike(places, self.tower)]
        layers = self._vision(parts) if self.tower == "vision" else self._language(parts, inputs)
        made = []
        for part, of_layers in zip(parts, layers, strict=True):
            made.append(PatchAttention(side_by_side(of_layers, self.heads), part[0][0].grid(self.tower)))
        return made

    def _vision(self, parts: list[list[list[Place]]]) -> list[list[Float[Tensor, "sample frame head patch"]]]:
        """The log-probabilities of each part in each layer."""
        family = self.family
        made: list[list[Tensor]] = [[] for _ in parts]
        attend = class_token_attention if family.has_class_token else mean_attention
        for calls in self.capture.pop_calls():
            pictures = [picture for query, key, _ in calls for picture in zip(query, key, strict=True)]
            scaling = calls[0][2]
            for part, layers in zip(parts, made, strict=True):
                rows = [place.row for sample in part for place in sample]
                query, key = (upcast(torch.stack([pictures[row][i] for row in rows])) for i in (0, 1))
                log_probs = attend(query * scaling, key, family.prefix_tokens)
                positions = family.positions_on(part[0][0].medium.layout.vit)
                log_probs = log_probs if positions is None else log_probs[..., positions]
                layers.append(log_probs.unflatten(0, (len(part), -1)))
        return made

    def _language(
        self, parts: list[list[list[Place]]], inputs: Mapping[str, Any]
    ) -> list[list[Float[Tensor, "sample frame head patch"]]]:
        """The log-probabilities of each part in each layer."""
        labels = inputs.get("labels")
        if labels is None:
            raise InputError("inputs has no labels: they say which tokens are the answer's, -100 at all others")
        captured, made = self.capture.pop(), []
        for part in parts:
            samples = torch.tensor([sample[0].sample for sample in part], device=labels.device)
            first = torch.tensor([[place.position for place in sample] for sample in part], device=labels.device)
            patches = torch.arange(len(part[0][0].grid("language")), device=labels.device)
            visual = first[..., None] + patches
            asking, counts = predicting_tokens(labels[samples], visual.amax((1, 2)), samples)
            whole = len(samples) == len(labels)  # then nothing is copied
            made.append(
                [
                    answer_attention(
                        *((query, key) if whole else (query[samples], key[samples])), scaling, asking, counts, visual
                    )
                    for query, key, scaling in captured
                ]
            )
        return made


def predicting_tokens(
    labels: Tensor, last_patch: Tensor, samples: Tensor
) -> tuple[Tensor, Bool[Tensor, "sample asked"]]:
    """Return where the tokens stand that predict an answer's, behind a sample's last patch; and which of them count.

    A shorter answer's row goes on with others.

    Args:
        labels: of the samples [sample, token].
        last_patch: position of each sample's last patch [sample].
        samples: which of the batch they are, for the message.

    Raises:
        InputError: a sample has no such token.
    """
    predicting = predicts_answer(labels) & (torch.arange(labels.shape[1], device=labels.device) >= last_patch[:, None])
    numbers = predicting.sum(1)
    if not bool(numbers.all()):
        sample = int(samples[int(numbers.argmin())])
        raise InputError(
            f"sample {sample} has no label behind its last image: give its answer labels, and check that `max_length` "
            "does not cut it off"
        )
    return places_of(predicting)
