"""Which family a checkpoint is of."""

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.internvl import InternVL
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.llava_next_video import LlavaNextVideo
from gaze_vlm.backbones.llava_onevision import LlavaOnevision
from gaze_vlm.backbones.loading import model_type_of
from gaze_vlm.backbones.narrator import Narrator
from gaze_vlm.backbones.qwen_vl import QwenVL
from gaze_vlm.backbones.smolvlm import SmolVLM
from gaze_vlm.errors import InputError

FAMILIES: tuple[type[Backbone], ...] = (InternVL, Llava, LlavaNextVideo, LlavaOnevision, Narrator, QwenVL, SmolVLM)


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
