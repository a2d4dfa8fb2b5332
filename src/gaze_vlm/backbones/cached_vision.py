"""A cache of what frozen modules make of frames: a small data set passes through the vision tower once."""

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


def cache_hidden_states(tower: nn.Module, layer: int | None, frames: int) -> None:
    """Make a frozen tower cache the hidden state of one layer, by the pixels of a frame.

    Args:
        tower: the vision tower; its `forward` is replaced on this instance.
        layer: index of the hidden state that the model reads, negative from the last; None is the tower's output.
        frames: how many frames are cached.

    Raises:
        InputError: the tower is trainable, so that its outputs change.
    """
    check_frozen([tower], "vision")
    original = tower.forward
    cache = OutputCache(frames)

    @functools.wraps(original)
    def cached(pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        def states(new: Tensor) -> Tensor:
            kwargs["output_hidden_states"] = layer is not None
            made = original(pixel_values[new], **kwargs)
            hidden: Tensor = made.last_hidden_state if layer is None else made.hidden_states[layer]
            return hidden

        hidden = torch.stack(cache.get(pixel_values, states)).to(pixel_values.device)
        # The model indexes with `layer`: a row of the same state answers any index.
        rows = 0 if layer is None else abs(layer) if layer < 0 else layer + 1
        return BaseModelOutputWithPooling(last_hidden_state=hidden, hidden_states=(hidden,) * rows)

    tower.forward = cached


def cache_visual_tokens(model: nn.Module, method: str, frozen: list[nn.Module], frames: int) -> None:
    """Make a model cache its visual tokens, by the pixels of a frame or a video.

    Args:
        model: its features method is replaced on this instance.
        method: the name of that method. Its first argument is the pixels, its `pooler_output` the tokens. What
            DeepStack adds to them in the language model has the same shape, and is cached with them.
        frozen: the modules that make the tokens.
        frames: how many are cached.

    Raises:
        InputError: one of the modules is trainable, so that the tokens change.
    """
    check_frozen(frozen, "vision and projector")
    original = getattr(model, method)
    names = list(inspect.signature(original).parameters)
    cache = OutputCache(frames)
    output: Any = None  # some families make one tensor of all images, others one an image

    @functools.wraps(original)
    def cached(*args: Any, **kwargs: Any) -> BaseModelOutputWithPooling:
        given = {**dict(zip(names, args, strict=False)), **kwargs}  # the library's decorators want keywords
        pixels = given[names[0]]
        grid = next((value for key, value in given.items() if key.endswith("grid_thw")), pixels)
        pixels = pixels.unflatten(0, (len(grid), -1))  # a row an image, which may be many rows of patches

        def tokens(new: Tensor) -> list[Tensor]:
            nonlocal output
            of_images = {  # what goes with each image, its grid or its size
                key: value[new] for key, value in given.items() if isinstance(value, Tensor) and len(value) == len(grid)
            }
            output = original(**{**given, **of_images, names[0]: pixels[new].flatten(0, 1)})
            rows = [split_by_image(one, len(new)) for one in (output.pooler_output, *deep_features(output))]
            return [torch.cat(beside, -1) for beside in zip(*rows, strict=True)]

        made = [one.to(pixels.device) for one in cache.get(pixels, tokens)]
        deep = deep_features(output)
        first, *others = zip(*(one.chunk(1 + len(deep), -1) for one in made), strict=True)
        restored = BaseModelOutputWithPooling(pooler_output=restore_container(first, output.pooler_output))
        restored.deepstack_features = [restore_container(rows, one) for rows, one in zip(others, deep, strict=True)]
        return restored

    setattr(model, method, cached)


def deep_features(made: Any) -> list[Any]:
    """List what each early layer of the language model adds to the visual tokens."""
    return getattr(made, "deepstack_features", None) or []


def split_by_image(tokens: Any, images: int) -> Sequence[Tensor]:
    """Split visual tokens by image or video, which all have equally many."""
    return tokens.unflatten(0, (images, -1)).unbind() if isinstance(tokens, Tensor) else tokens


def restore_container(rows: Sequence[Tensor], like: Any) -> Any:
    """Put visual tokens of images into the library's container: a tensor or a tuple."""
    return torch.cat(list(rows)) if isinstance(like, Tensor) else tuple(rows)


def check_frozen(modules: list[nn.Module], parts: str) -> None:
    """Refuse trainable modules; `parts` names them."""
    if any(parameter.requires_grad for module in modules for parameter in module.parameters()):
        raise InputError(f"cached_frames caches what frozen modules make: set it to 0, or take {parts} out of train")


class OutputCache:
    """The last `capacity` outputs, by the pixels that they were made of."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.outputs: OrderedDict[bytes, Tensor] = OrderedDict()

    def get(self, images: Tensor, make: Callable[[Tensor], Any]) -> list[Tensor]:
        """Get the output of each image; `make` makes those of new images, by index."""
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
