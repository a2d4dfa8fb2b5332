"""Where attention is taken from: the gaze block, layers of the vision tower, layers of the language model.

A source captures a forward pass, then returns its attention in one form: log-probabilities over the patches of
each frame. Several layers stand beside each other as more heads.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gaze_vlm.attention.capture import AttentionCapture
from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.datamodules.clip import IGNORED
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid
from gaze_vlm.precision import upcast

Layers = Sequence[int] | Literal["all"]
Tower = Literal["vision", "language"]
NO_PLACEHOLDER = -1  # the visual token of a text that has none: the language model reads them by cross-attention


@dataclass(kw_only=True, eq=False)
class AttentionSource(ABC):
    """Attention of one forward pass over the patches of `grid`.

    It is of `heads` alone where any are named. `layer_numbers` are those of its layers in the model, from 0.
    """

    name: ClassVar[str]
    looks_at_answers: ClassVar[bool] = False  # whether it is where an answer's tokens look, else where frames are read

    grid: Grid
    layer_numbers: Sequence[int]
    heads: Sequence[int] = ()

    @abstractmethod
    def capturing(self) -> AbstractContextManager[None]:
        """Capture a forward pass within; generation outside runs untouched."""

    @abstractmethod
    def layers(
        self, frames: int, input_ids: Int[Tensor, "batch token"], labels: Int[Tensor, "batch token"]
    ) -> list[Float[Tensor, "batch frame head patch"]]:
        """Return the log-probabilities of each layer."""

    def pop(
        self, frames: int, input_ids: Int[Tensor, "batch token"], labels: Int[Tensor, "batch token"]
    ) -> PatchAttention:
        """Return the attention of the captured pass, and forget it.

        Args:
            frames: how many a clip has.
            input_ids, labels: what the language model read, and the labels of the answers' tokens.

        Raises:
            InputError: a head that a layer does not have.
        """
        return PatchAttention(side_by_side(self.layers(frames, input_ids, labels), self.heads), self.grid)


@dataclass(kw_only=True, eq=False)
class BlockSource(AttentionSource):
    """The gaze block's last layer."""

    name: ClassVar[str] = "block"

    block: nn.Module

    def __post_init__(self) -> None:
        self._capturing = False
        self._seen: list[Tensor] = []
        self.block.register_forward_hook(self._see)

    def _see(self, _block: nn.Module, _inputs: object, output: tuple[Tensor, Tensor]) -> None:
        if self._capturing:
            self._seen.append(output[1])

    @contextmanager
    def capturing(self) -> Iterator[None]:
        self._seen, self._capturing = [], True
        try:
            yield
        finally:
            self._capturing = False

    def layers(self, frames: int, input_ids: Tensor, labels: Tensor) -> list[Tensor]:
        seen, self._seen = self._seen, []
        if not seen:
            raise RuntimeError("the gaze block did not run in this forward pass: the model never asked for its tokens")
        return [torch.cat(seen)]


@dataclass(kw_only=True, eq=False)
class CapturedSource(AttentionSource):
    """Layers whose queries and keys are captured."""

    capture: AttentionCapture

    def capturing(self) -> AbstractContextManager[None]:
        return self.capture.capturing()


@dataclass(kw_only=True, eq=False)
class VitSource(CapturedSource):
    """Layers of the vision tower.

    The attention is the class token's where there is one, else the mean over all patches'.

    Args:
        class_token: whether the sequence begins with a class token.
        prefix: tokens before the patches, the class token among them; none is a patch.
        positions: where in the sequence the patches stand, row by row; None where they stand so already.
    """

    name: ClassVar[str] = "vision"

    class_token: bool
    prefix: int
    positions: list[int] | None = None

    def layers(self, frames: int, input_ids: Tensor, labels: Tensor) -> list[Tensor]:
        attend = class_token_attention if self.class_token else mean_attention
        layers = []
        for query, key, scaling in self.capture.pop():
            log_probs = rearrange(
                attend(upcast(query) * scaling, upcast(key), self.prefix),
                "(batch frame) head patch -> batch frame head patch",
                frame=frames,
            )
            layers.append(log_probs if self.positions is None else log_probs[..., self.positions])
        return layers


@dataclass(kw_only=True, eq=False)
class LanguageSource(CapturedSource):
    """Layers of the language model, over a frame's visual tokens.

    The attention is that of the tokens that predict the answer. Each such token's attention is renormalised over the
    patches of the frame, then the tokens' mean is taken.

    Args:
        visual_token: id of the placeholder of a visual token. NO_PLACEHOLDER: the keys are the visual tokens alone.
        tokens_per_frame: placeholders of a frame, whose first are the patches, row by row.
    """

    name: ClassVar[str] = "language"
    looks_at_answers: ClassVar[bool] = True

    visual_token: int
    tokens_per_frame: int

    def layers(self, frames: int, input_ids: Tensor, labels: Tensor) -> list[Tensor]:
        count = frames * self.tokens_per_frame
        if self.visual_token == NO_PLACEHOLDER:
            visual = torch.arange(count, device=input_ids.device).expand(len(input_ids), -1)
        else:
            visual = (input_ids == self.visual_token).nonzero()[:, 1].unflatten(0, (len(input_ids), -1))[:, :count]
        visual = visual.unflatten(1, (frames, self.tokens_per_frame))
        visual = visual[..., : len(self.grid)]
        captured = self.capture.pop()
        read = captured[0][0].shape[2]  # the last tokens alone may have been read, behind what was read before
        asking, counts = places_of(predicts_answer(labels)[:, -read:])
        return [answer_attention(query, key, scaling, asking, counts, visual) for query, key, scaling in captured]


def side_by_side(
    layers: Sequence[Float[Tensor, "batch frame head patch"]], heads: Sequence[int]
) -> Float[Tensor, "batch frame heads patch"]:
    """Put layers beside each other as more heads, of each layer `heads` alone where any are named.

    Raises:
        InputError: a head that a layer does not have.
    """
    for layer in layers:
        check_heads(heads, layer.shape[2], f"attention has {layer.shape[2]} heads")
    return torch.cat([layer[:, :, [*heads]] if heads else layer for layer in layers], dim=2)


def check_heads(heads: Sequence[int], count: int, what_has: str) -> None:
    """Check numbers of heads against how many there are; `what_has` says of what, and how many.

    Raises:
        InputError: one is not there.
    """
    if not all(0 <= head < count for head in heads):
        raise InputError(f"heads {[*heads]}: the {what_has}, counted from 0")


def predicts_answer(labels: Int[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
    """Return which tokens predict one of the answer's: those before a label."""
    predicting = torch.zeros_like(labels, dtype=torch.bool)
    predicting[:, :-1] = labels[:, 1:] != IGNORED
    return predicting


def places_of(
    predicting: Bool[Tensor, "batch token"],
) -> tuple[Int[Tensor, "batch asked"], Bool[Tensor, "batch asked"]]:
    """Return where the tokens stand that predict, and which of these places count.

    A shorter row goes on with others.
    """
    most = int(predicting.sum(1).max())
    asking = predicting.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    return asking, predicting.gather(1, asking)


def class_token_attention(
    query: Float[Tensor, "image head token d"], key: Float[Tensor, "image head token d"], prefix: int = 1
) -> Float[Tensor, "image head patch"]:
    """Return the log of the first token's attention to the patches behind `prefix`."""
    with torch.autocast(query.device.type, enabled=False):  # it would make bf16 of the products
        scores = einsum(query[:, :, 0], key[:, :, prefix:], "image head d, image head patch d -> image head patch")
        return scores.log_softmax(dim=-1)


def mean_attention(
    query: Float[Tensor, "image head token d"], key: Float[Tensor, "image head token d"], prefix: int = 0
) -> Float[Tensor, "image head patch"]:
    """Return the log of the patches' mean attention to each other, behind `prefix`."""
    query, key = query[:, :, prefix:], key[:, :, prefix:]

    def of_image(query: Tensor, key: Tensor) -> Tensor:
        scores = einsum(query, key, "head q d, head patch d -> head q patch")
        return scores.log_softmax(dim=-1).logsumexp(dim=1) - scores.new_tensor(scores.shape[1]).log()

    with torch.autocast(query.device.type, enabled=False):
        # Query × patch is large: one image at a time, and anew in the backward pass rather than kept.
        return torch.stack(
            [checkpoint(of_image, *image, use_reentrant=False) for image in zip(query, key, strict=True)]
        )


def answer_attention(
    query: Float[Tensor, "batch head token d"],
    key: Float[Tensor, "batch key_head attended d"],
    scaling: float,
    asking: Int[Tensor, "batch asked"],
    counts: Bool[Tensor, "batch asked"],
    visual: Int[Tensor, "batch frame patch"],
) -> Float[Tensor, "batch frame head patch"]:
    """Return the log of the predicting tokens' mean attention to each frame's patches.

    No size depends on a value on the device, so that nothing waits for it.

    Args:
        query, key, scaling: of a language layer; a key's head serves a group of the queries'.
        asking: where the tokens stand that predict the answer; a shorter answer's row goes on with others.
        counts: which of them predict.
        visual: where the patches of each frame stand.
    """
    width, group = query.shape[-1], query.shape[1] // key.shape[1]
    places = repeat(asking, "batch asked -> batch head asked d", head=query.shape[1], d=width)
    patches = repeat(visual, "batch frame patch -> batch head (frame patch) d", head=key.shape[1], d=width)
    with torch.autocast(query.device.type, enabled=False):
        asked = upcast(query.gather(2, places)) * scaling
        keys = repeat(
            upcast(key.gather(2, patches)),
            "batch head (frame patch) d -> batch (head group) frame patch d",
            group=group,
            frame=visual.shape[1],
        )
        scores = einsum(
            asked, keys, "batch head asked d, batch head frame patch d -> batch frame head asked patch"
        ).log_softmax(-1)
        left_out = rearrange(~counts, "batch asked -> batch 1 1 asked 1")
        summed = scores.masked_fill(left_out, -torch.inf).logsumexp(3)
        return summed - rearrange(counts.sum(1).to(summed).log(), "batch -> batch 1 1 1")


def choose_layers(modules: dict[int, nn.Module], layers: Layers, option: str) -> dict[int, nn.Module]:
    """Choose attention modules by the index of their layer, or all of them.

    Negative indices count from the last.

    Raises:
        InputError: a layer that cannot be captured.
    """
    if layers == "all":
        return modules
    known = list(modules)
    for layer in layers:
        if layer not in modules and not -len(known) <= layer < 0:
            raise InputError(
                f"{option} {layer}: the model's layers to choose from are {', '.join(map(str, known))}, "
                f"or {-len(known)} to -1 counted from the last"
            )
    chosen = [layer if layer in modules else known[layer] for layer in layers]
    return {layer: modules[layer] for layer in chosen}
