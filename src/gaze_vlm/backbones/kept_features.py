"""Whether the features of frames can be kept from one epoch to the next, and what they depend on."""

import hashlib
from dataclasses import asdict
from typing import Any

import torch
import transformers

from gaze_vlm.backbones.base import Backbone


def why_none_is_kept(backbone: Backbone) -> str | None:
    """Return why features cannot be kept from one epoch to the next; None where they can."""
    if backbone.options.vit_layers:
        return "vit_layers look into the vision tower, which must run"
    return None if backbone.has_frozen_features else "what makes them is trained"


def features_identity(backbone: Backbone) -> dict[str, Any]:
    """Return plain values that the features of a clip depend on, beside its frames."""
    digest = hashlib.sha256()
    for module in backbone.encoding_modules():
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    collator = backbone.collator()
    processor = getattr(backbone.processor, f"{backbone.media}_processor").to_dict()
    return {
        "backbone": type(backbone).__name__,
        "weights": digest.hexdigest(),
        "dtype": backbone.options.dtype,
        "layer": str(getattr(backbone.hf.config, "vision_feature_layer", None)),
        "frame_size_px": [collator.height_px, collator.width_px],
        "view": asdict(backbone.options.view),
        "processor": {name: value for name, value in processor.items() if not name.startswith("_")},
        "image_options": dict(collator.image_options),
        "frames_per_group": collator.frames_per_group,
        "transformers": transformers.__version__,
    }
