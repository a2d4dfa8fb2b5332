"""Outputs of a frozen vision tower, kept: a small data set that fits passes through the tower once."""

import functools
import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from gaze_vlm.errors import InputError


def keep_outputs(tower: nn.Module, layer: int | None, frames: int) -> None:
    """Make a frozen tower remember the hidden state of one layer for the last so many frames, by their pixels.

    Args:
        tower: the vision tower; its `forward` is replaced on this instance.
        layer: index of the hidden state that the model reads, negative from the last; None is the tower's output.
        frames: how many frames are kept.

    Raises:
        ValueError: the tower learns, so that its outputs change.
    """
    check_frozen([tower], "vision")
    original = tower.forward
    cache = OutputCache(frames)

    @functools.wraps(original)
    def remembering(pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        def states(new: Tensor) -> Tensor:
            kwargs["output_hidden_states"] = layer is not None
            made = original(pixel_values[new], **kwargs)
            hidden: Tensor = made.last_hidden_state if layer is None else made.hidden_states[layer]
            return hidden

        hidden = torch.stack(cache.get(pixel_values, states)).to(pixel_values.device)
        # The model indexes with `layer`: a row of the same state answers any index.
        rows = 0 if layer is None else abs(layer) if layer < 0 else layer + 1
        return BaseModelOutputWithPooling(last_hidden_state=hidden, hidden_states=(hidden,) * rows)

    tower.forward = remembering


def keep_visual_tokens(model: nn.Module, method: str, frozen: list[nn.Module], frames: int) -> None:
    """Make a model remember its visual tokens of the last so many frames, or clips where a clip is one video.

    Args:
        model: its features method is replaced on this instance.
        method: the name of that method, whose first argument is the pixels and whose `pooler_output` the tokens; they
            are kept together with what DeepStack adds to them in the language model, which is of the same shape.
        frozen: the modules that make the tokens.
        frames: how many are kept.

    Raises:
        ValueError: one of the modules learns, so that the tokens change.
    """
    check_frozen(frozen, "vision and projector")
    original = getattr(model, method)
    names = list(inspect.signature(original).parameters)
    cache = OutputCache(frames)
    like: Any = None  # an output; some families make one tensor of all images, others one an image

    @functools.wraps(original)
    def remembering(*args: Any, **kwargs: Any) -> BaseModelOutputWithPooling:
        given = {**dict(zip(names, args, strict=False)), **kwargs}  # the library's decorators want keywords
        pixels = given[names[0]]
        grid = next((value for key, value in given.items() if key.endswith("grid_thw")), pixels)
        pixels = pixels.unflatten(0, (len(grid), -1))  # a row an image, which may be many rows of patches

        def tokens(new: Tensor) -> list[Tensor]:
            nonlocal like
            of_images = {  # what goes with each image, its grid or its size
                key: value[new] for key, value in given.items() if isinstance(value, Tensor) and len(value) == len(grid)
            }
            like = original(**{**given, **of_images, names[0]: pixels[new].flatten(0, 1)})
            rows = [split_by_image(one, len(new)) for one in (like.pooler_output, *deep_features(like))]
            return [torch.cat(beside, -1) for beside in zip(*rows, strict=True)]

        made = [one.to(pixels.device) for one in cache.get(pixels, tokens)]
        deep = deep_features(like)
        first, *others = zip(*(one.chunk(1 + len(deep), -1) for one in made), strict=True)
        output = BaseModelOutputWithPooling(pooler_output=restore_container(first, like.pooler_output))
        output.deepstack_features = [restore_container(rows, form) for rows, form in zip(others, deep, strict=True)]
        return output

    setattr(model, method, remembering)


def deep_features(made: Any) -> list[Any]:
    """What early layers of the language model add to the visual tokens, a layer each; most families have none."""
    return getattr(made, "deepstack_features", None) or []


def split_by_image(tokens: Any, images: int) -> Sequence[Tensor]:
    """Visual tokens by image, or by clip where a clip is one video of several rows; all images have equally many."""
    return tokens.unflatten(0, (images, -1)).unbind() if isinstance(tokens, Tensor) else tokens


def restore_container(rows: Sequence[Tensor], form: Any) -> Any:
    """Visual tokens of images in the form that the library gives them: one tensor or one each."""
    return torch.cat(list(rows)) if isinstance(form, Tensor) else tuple(rows)


def check_frozen(modules: list[nn.Module], parts: str) -> None:
    """Refuse modules that learn; `parts` are what they are."""
    if any(parameter.requires_grad for module in modules for parameter in module.parameters()):
        raise InputError(f"cached_frames keeps what frozen modules make: set it to 0, or take {parts} out of train")


class OutputCache:
    """The last so many outputs, by the pixels that they were made of."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.outputs: OrderedDict[bytes, Tensor] = OrderedDict()

    def get(self, images: Tensor, make: Callable[[Tensor], Any]) -> list[Tensor]:
        """The output of each image; `make` makes those of the images at some indices, without a gradient."""
        keys = [hashlib.sha256(image.contiguous().numpy()).digest() for image in images.cpu()]
        new = {key: index for index, key in enumerate(keys) if key not in self.outputs}
        if new:
            with torch.no_grad():
                made = make(torch.tensor(list(new.values()), device=images.device))
            self.outputs |= dict(zip(new, made, strict=True))
        outputs = [self.outputs[key] for key in keys]
        for key in keys:
            self.outputs.move_to_end(key)
        while len(self.outputs) > self.capacity:
            self.outputs.popitem(last=False)
        return outputs
