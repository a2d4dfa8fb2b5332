"""Models that their user loaded through `transformers`, and trains in a loop of their own."""

from types import SimpleNamespace
from typing import Any

from torch import nn

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.families import family_of_type
from gaze_vlm.errors import InputError


def unwrapped(model: Any) -> Any:
    """Return the `transformers` model inside of PEFT's and of those that train on several processes."""
    while not hasattr(model, "get_input_embeddings") or hasattr(model, "get_base_model"):
        inner = model.get_base_model() if hasattr(model, "get_base_model") else getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            raise InputError(f"{type(model).__name__} is no model of `transformers`: give the one that you loaded")
        model = inner
    return model


def family_of_model(model: Any, config_alone: bool = False) -> Backbone:
    """Return what is known of a model's family, about this model. The model stays as it is.

    Args:
        model: of `transformers`, with its language model's head.
        config_alone: hold its config and no module.

    Raises:
        InputError: of no family that is known, or not loaded with its head.
    """
    model = unwrapped(model)
    config = model.config
    family = family_of_type(config.model_type, type(model).__name__)(type(model).__name__)
    if model.get_output_embeddings() is None:
        raise InputError(f"{type(model).__name__} has no language head: load it by AutoModelForImageTextToText")
    family.hf = SimpleNamespace(config=config) if config_alone else model
    if not family.media_tokens:
        raise InputError(
            f"{type(model).__name__} reads frames by cross-attention, not as tokens: train it as a Narrator"
        )
    return family
