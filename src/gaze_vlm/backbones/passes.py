"""What runs through a loaded model: frames, prompts with their targets, and answers."""

from abc import ABC
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, fields
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from transformers.generation import GenerateDecoderOnlyOutput

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.sources import AttentionSource
from gaze_vlm.backbones.family import ModelFamily
from gaze_vlm.backbones.greedy import answering_greedily
from gaze_vlm.backbones.visual_features import ClipFeatures, FeatureSeam
from gaze_vlm.datamodules.clip import IGNORED, Batch
from gaze_vlm.precision import upcast

# The keys and values of what was read: `past_key_values` until transformers 5.2x.
CACHE = "cache" if "cache" in {field.name for field in fields(GenerateDecoderOnlyOutput)} else "past_key_values"


@dataclass
class BackboneOutput:
    """Cross-entropy of each answer, how many answer tokens there are, attention.

    The cross-entropy is the sum over an answer's tokens.
    """

    cross_entropy: Float[Tensor, " batch"]
    tokens: Float[Tensor, ""]
    attention: PatchAttention | None


class ModelPasses(ModelFamily, ABC):
    """A loaded model as training and evaluation see it."""

    processor: Any
    source: AttentionSource | None
    seam: FeatureSeam
    samples: int | None = None  # within `reading`: the library asks for tokens of images, not of clips
    passes_in_step: bool = False  # all processes must make as many passes: each holds a shard of what runs

    @property
    def has_frozen_features(self) -> bool:
        """Whether the features of frames stay the same, since nothing trainable makes them."""
        return not any(p.requires_grad for module in self.encoding_modules() for p in module.parameters())

    @torch.no_grad()
    def encode_clips(self, pixel_values: Float[Tensor, "clip group ..."]) -> ClipFeatures:
        """Make the features of clips one by one.

        Those of a clip do not depend on what it is batched with.
        """
        return torch.cat([self.encode(clip) for clip in pixel_values.split(1)])

    @contextmanager
    def reading(self, batch: Batch) -> Iterator[dict[str, Tensor]]:
        """Yield what `prepare` takes of a batch's frames; the model must run within.

        Where no gradient flows into the features of frames, each clip's are made once, and given to the model.
        """
        visual, features = dict(batch.visual), batch.visual.get("features")
        if features is None and (self.has_frozen_features or not torch.is_grad_enabled()):
            features = self.encode_clips(visual["pixel_values"])
        with ExitStack() as given:
            if features is not None:
                visual = {"group_s": visual["group_s"]} if "group_s" in visual else {}
                # It only counts the frame groups of these; were their pixels read, all would become NaN.
                visual["pixel_values"] = features.new_full((1,), torch.nan).expand(*features.shape[:2], 1, 1, 1)
                given.enter_context(self.seam.giving(of_samples(features, batch.rows)))
            self.samples = len(batch)
            try:
                yield {name: of_samples(value, batch.rows) for name, value in visual.items()}
            finally:
                self.samples = None

    def forward(self, batch: Batch) -> BackboneOutput:
        """Compute the cross-entropy of the targets, and the attention, without gaze."""
        inputs = at_left_edge(batch.inputs)
        labels = inputs.pop("labels")
        predicted = labels.shape[1] - int((labels != IGNORED).int().argmax(1).min())  # from the first answer's start on
        capturing = nullcontext() if self.source is None else self.source.capturing()
        with capturing, self.reading(batch) as visual:
            prepared = self.prepare({**inputs, **visual})
            for name in ("attention_mask", "position_ids"):  # no token reads the padding, which stands behind it
                prepared.pop(name, None)
            logits = self.generative_model(**prepared, logits_to_keep=predicted + 1, use_cache=False).logits
        return self.output(logits, batch, inputs["input_ids"], labels)

    def output(
        self,
        logits: Float[Tensor, "batch read word"],
        batch: Batch,
        input_ids: Int[Tensor, "batch token"],
        labels: Int[Tensor, "batch token"],
    ) -> BackboneOutput:
        """Make the output of a pass that read the texts to their end.

        It is made of the pass's last logits, and of what was captured.
        """
        attention = None
        if self.source is not None:
            attention = self.source.pop(batch.valid.shape[1], input_ids, labels)
            if len(attention.log_probs) < len(batch):  # a clip's, which several samples show
                attention.log_probs = of_samples(attention.log_probs, batch.rows)
        labels = labels[:, 1 - logits.shape[1] :]
        cross_entropy = functional.cross_entropy(
            rearrange(upcast(logits[:, :-1]), "batch token word -> batch word token"),
            labels,
            ignore_index=IGNORED,
            reduction="none",
        )
        return BackboneOutput(cross_entropy.sum(1), (labels != IGNORED).sum().float(), attention)

    def prepare(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make the model's own inputs; positions skip the padding."""
        texts = {name: value for name, value in inputs.items() if name != "pixel_values"}
        positions = (inputs["attention_mask"].cumsum(1) - 1).clamp_min(0)
        return {**texts, **self.visual_inputs(inputs["pixel_values"]), "position_ids": positions}

    @torch.no_grad()
    def generate(self, batch: Batch) -> list[str]:
        """Answer greedily from frames and text alone."""
        with self.reading(batch) as visual:
            return self.answer(self.prepare({**batch.prompts, **visual}))[0]

    def answer(self, prepared: dict[str, Tensor]) -> tuple[list[str], Any]:
        """Answer prepared prompts; return texts, and the cache of what was read."""
        made, cache = self.answer_ids(prepared)
        return [text.strip() for text in self.processor.tokenizer.batch_decode(made, skip_special_tokens=True)], cache

    def answer_ids(self, prepared: dict[str, Tensor]) -> tuple[Int[Tensor, "batch made"], Any]:
        """Answer prepared prompts; return token ids with their end of text, and the cache of what was read."""
        inputs = {name: value for name, value in prepared.items() if name != "position_ids"}  # made from the mask
        read, model = inputs["input_ids"].shape[1], self.generative_model
        with answering_greedily(model, self.processor.tokenizer, self.options.max_new_tokens):
            made = model.generate(
                **inputs,
                return_dict_in_generate=True,
                synced_gpus=self.passes_in_step,  # a process whose answers ended early runs on with the others
            )
        return made.sequences[:, read:], made[CACHE]

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> tuple[BackboneOutput, list[str]]:
        """Compute what `forward` and `generate` do, reading frames and prompts once.

        The targets are read behind the prompts' keys and values, which the answers leave.
        """
        source, prompts = self.source, batch.prompts
        prompt_ids = prompts["input_ids"]
        looks_at_answers = source is not None and source.looks_at_answers
        with nullcontext() if source is None or looks_at_answers else source.capturing(), self.reading(batch) as visual:
            prepared = self.prepare({**prompts, **visual})
            answers, cache = self.answer(prepared)
        last = prompt_ids.shape[1] - 1  # its logits predict the first word
        cache.crop(last - cache.get_seq_length())
        labels = behind_prompts(batch.inputs["labels"], prompt_ids)
        targets = labels[:, last + 1 :]
        input_ids = torch.cat([prompt_ids, targets.clamp_min(0)], 1)
        mask = torch.cat([prompts["attention_mask"], torch.ones_like(targets)], 1)
        memory = {name: prepared[name] for name in ("encoder_hidden_states",) if name in prepared}
        with source.capturing() if looks_at_answers else nullcontext():  # type: ignore[union-attr]
            logits = self.generative_model(
                input_ids=input_ids[:, last:],
                attention_mask=mask,
                position_ids=self.next_positions(mask.cumsum(1)[:, last:] - 1),
                **{CACHE: cache},
                **memory,
            ).logits
        return self.output(logits, batch, input_ids, labels), answers


def at_left_edge(inputs: dict[str, Int[Tensor, "batch token"]]) -> dict[str, Int[Tensor, "batch token"]]:
    """Move texts with padding on their left to the left edge, and the padding behind them.

    A causal model needs no mask for such a batch, and its attention is faster without one.
    """
    mask = inputs["attention_mask"]
    places = torch.arange(mask.shape[1], device=mask.device) - mask.sum(1, keepdim=True)
    return {name: value.gather(1, places % mask.shape[1]) for name, value in inputs.items()}


def of_samples(value: Tensor, rows: Tensor | None) -> Tensor:
    """Return what each sample shows of values of clips."""
    return value if rows is None else value[rows]


def behind_prompts(labels: Int[Tensor, "batch token"], prompt_ids: Tensor) -> Int[Tensor, "batch longer"]:
    """Move labels, which end at the right edge, to begin behind prompts of one length."""
    lengths = (labels != IGNORED).sum(1)
    moved = labels.new_full((len(labels), prompt_ids.shape[1] + int(lengths.max())), IGNORED)
    for row, label, length in zip(moved, labels, lengths.tolist(), strict=True):
        row[prompt_ids.shape[1] :][:length] = label[-length:]
    return moved
