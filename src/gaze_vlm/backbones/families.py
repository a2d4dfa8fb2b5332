"""Which family a checkpoint is of."""

from gaze_vlm import backbones
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.loading import model_type_of
from gaze_vlm.errors import InputError

EXPORTED = [getattr(backbones, name) for name in backbones.__all__]
FAMILIES: tuple[type[Backbone], ...] = tuple(one for one in EXPORTED if issubclass(one, Backbone) and one != Backbone)
"""What `backbones/__init__.py` exports."""


def family_of(checkpoint: str) -> type[Backbone]:
    """Return the backbone that takes a checkpoint, by the `model_type` of its config.

    Args:
        checkpoint: folder, hub name or shipped name.

    Raises:
        MissingFileError: there is no such checkpoint.
        InputError: no family takes it.
    """
    return family_of_type(model_type_of(checkpoint), checkpoint)


def family_of_type(model_type: str, name: str) -> type[Backbone]:
    """Return the backbone of a `model_type`.

    Args:
        model_type: of a checkpoint's config.
        name: of the checkpoint or the model, for the message.

    Raises:
        InputError: no family takes it.
    """
    for family in FAMILIES:
        if model_type in family(name).model_types:
            return family
    known = sorted(known for family in FAMILIES for known in family(name).model_types)
    raise InputError(f"{name} is a {model_type}, which no backbone takes: choose from {', '.join(known)}")
