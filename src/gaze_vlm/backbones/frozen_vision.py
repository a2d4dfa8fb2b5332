"""Outputs of a frozen vision tower, kept: a small data set that fits passes through the tower once."""

import functools
import hashlib
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling


def keep_outputs(tower: nn.Module, layer: int, frames: int) -> None:
    """Make a frozen tower remember the hidden state of one layer for the last so many frames, by their pixels.

    Args:
        tower: the vision tower; its `forward` is replaced on this instance.
        layer: index of the hidden state that the model reads, negative from the last.
        frames: how many frames are kept.

    Raises:
        ValueError: the tower learns, so that its outputs change.
    """
    if any(parameter.requires_grad for parameter in tower.parameters()):
        raise ValueError(
            "cached_frames keeps outputs of a frozen vision tower: set it to 0, or take vision out of train"
        )
    original = tower.forward
    kept: OrderedDict[bytes, Tensor] = OrderedDict()

    @functools.wraps(original)
    def remembering(pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        keys = [hashlib.blake2b(image.numpy(), digest_size=16).digest() for image in pixel_values.cpu()]
        new = {key: image for key, image in zip(keys, pixel_values, strict=True) if key not in kept}
        outputs = {key: kept[key] for key in keys if key in kept}
        if new:
            with torch.no_grad():
                kwargs["output_hidden_states"] = True
                states = original(torch.stack(list(new.values())), **kwargs).hidden_states
            outputs |= dict(zip(new, states[layer].unbind(), strict=True))
        for key in keys:
            kept[key] = outputs[key]
            kept.move_to_end(key)
        while len(kept) > frames:
            kept.popitem(last=False)
        hidden = torch.stack([outputs[key] for key in keys]).to(pixel_values.device)
        # The model indexes with `layer`: a row of the same state answers any index.
        states = (hidden,) * (abs(layer) if layer < 0 else layer + 1)
        return BaseModelOutputWithPooling(last_hidden_state=hidden, hidden_states=states)

    tower.forward = remembering
