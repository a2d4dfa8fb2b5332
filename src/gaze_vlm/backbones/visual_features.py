"""The seam between what a model makes of frames and what reads it: features may be given instead of made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
import transformers
from jaxtyping import Float
from packaging.version import Version
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

SPLITS_DEEPSTACK = Version(transformers.__version__) >= Version("5.18")
ClipFeatures = Float[Tensor, "clip group token width"]


class FeatureSeam:
    """Replaces a method that makes features of frames: while features are given, it returns them.

    Args:
        owner: the module; the method is replaced on this instance.
        method: its name.
        output: the method's output, made of features [clip, group, token, width].
    """

    def __init__(self, owner: nn.Module, method: str, output: Callable[[Tensor], Any]) -> None:
        original = getattr(owner, method)
        self.original = original
        self.given: Tensor | None = None

        @wraps(original)  # the library reads the signature
        def given_or_made(*args: Any, **kwargs: Any) -> Any:
            return original(*args, **kwargs) if self.given is None else output(self.given)

        setattr(owner, method, given_or_made)

    @contextmanager
    def giving(self, features: ClipFeatures) -> Iterator[None]:
        """Give features to the model, which must run within."""
        self.given = features
        try:
            yield
        finally:
            self.given = None


def hidden_states_output(features: ClipFeatures, layer: int | None) -> BaseModelOutputWithPooling:
    """Return a vision tower's output with features as its hidden state `layer`.

    None is its last output.
    The model indexes with `layer`: a row of the same state answers any index.
    """
    hidden = features.flatten(0, 1)
    rows = 0 if layer is None else abs(layer) if layer < 0 else layer + 1
    return BaseModelOutputWithPooling(last_hidden_state=hidden, hidden_states=(hidden,) * rows)


def visual_tokens(output: Any, images: int) -> Float[Tensor, "image token width"]:
    """Return the visual tokens of a features method's output.

    They are equally many of each image.
    What DeepStack adds to them in the language model has the same shape, and stands behind them.
    """
    parts = (output.pooler_output, *(getattr(output, "deepstack_features", None) or ()))
    tensors = (part if isinstance(part, Tensor) else torch.cat(list(part)) for part in parts)
    return torch.cat([one.reshape(images, -1, one.shape[-1]) for one in tensors], -1)


def visual_tokens_output(features: ClipFeatures, width: int, by_image: bool) -> BaseModelOutputWithPooling:
    """Return a features method's output of visual tokens.

    Args:
        features: what `visual_tokens` returned.
        width: of a visual token; what is wider holds DeepStack's features too.
        by_image: whether the tokens are a sequence of one tensor an image, else one tensor.
    """
    tokens, *deep = features.flatten(0, 1).split(width, -1)
    output = BaseModelOutputWithPooling(pooler_output=tuple(tokens) if by_image else tokens)  # type: ignore[arg-type]
    # Until transformers 5.18 one tensor, whatever the tokens are.
    output.deepstack_features = [tuple(one) if SPLITS_DEEPSTACK else one.flatten(0, 1) for one in deep]
    return output
