"""The first stage of pretraining: the vision tower learns to name what each patch shows."""

from math import isqrt

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.visual_features import ClipFeatures
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.pretraining.optimisation import steps
from gaze_vlm.pretraining.options import StageOptions
from gaze_vlm.pretraining.patch_labels import CLASSES, patch_labels
from gaze_vlm.pretraining.stills import Still

AT_ONCE = 256  # stills


def pixels_of(collator: Collator, clips: list[list[Still]]) -> Float[Tensor, "clip frame ..."]:
    """Make the model's pixels of stills."""
    made: Tensor | None = None
    for i, clip in enumerate(clips):
        frames = collator.pixel_values(to_frames(torch.from_numpy(np.stack([one.image for one in clip]))))
        if made is None:  # gigabytes, which a list of them would take twice
            made = frames.new_empty(len(clips), *frames.shape)
        made[i] = frames
    assert made is not None
    return made


def labels_of(backbone: Backbone, clips: list[list[Still]]) -> Int[Tensor, "clip frame label patch"]:
    """Return what each patch of the tower's features shows."""
    side = isqrt(backbone.features_of_group[0])  # a class token is not worth a row
    return torch.from_numpy(np.stack([[patch_labels(still, side) for still in clip] for clip in clips]))


def train_encoder(
    backbone: Backbone, clips: list[list[Still]], stage: StageOptions, held_out_clips: int
) -> tuple[ClipFeatures, dict[str, float]]:
    """Train what makes the features of frames; it is frozen then.

    It is the vision tower, with the projector where the model's features are its visual tokens.

    Returns:
        The features of all clips, and the accuracy on held-out patches that show something.
    """
    pixels, labels = pixels_of(backbone.collator(), clips), labels_of(backbone, clips)
    facts = learn_labels(backbone, pixels, labels, stage, held_out_clips)
    return clip_features(backbone, pixels), facts


def learn_labels(
    backbone: Backbone,
    pixels: Float[Tensor, "clip frame ..."],
    labels: Int[Tensor, "clip frame label patch"],
    stage: StageOptions,
    held_out_clips: int,
) -> dict[str, float]:
    """Train what makes features to name patches; return its accuracy."""
    images, labels, patches = pixels.flatten(0, 1), labels.flatten(0, 1).to(backbone.hf.device), labels.shape[-1]
    held_out = held_out_clips * pixels.shape[1]
    trained = nn.ModuleList(backbone.encoding_modules()).requires_grad_(True)
    heads = nn.Linear(backbone.features_of_group[1], sum(CLASSES)).to(backbone.hf.device)

    def scores(index: Tensor) -> list[Tensor]:
        features = backbone.encode(images[index].unsqueeze(1).to(backbone.hf.device))
        return list(heads(features[:, 0, -patches:]).split(CLASSES, -1))

    for step in steps([*trained.parameters(), *heads.parameters()], stage.lr, stage.steps, "training the encoder"):
        index = torch.randint(len(images) - held_out, (stage.batch_size,))
        step(
            sum(
                functional.cross_entropy(part.flatten(0, 1), truth.flatten())
                for part, truth in zip(scores(index), labels[index].unbind(1), strict=True)
            )
        )
    trained.requires_grad_(False)
    held = torch.arange(len(images) - held_out, len(images))
    with torch.no_grad():
        predicted = torch.cat(
            [torch.stack([one.argmax(-1) for one in scores(part)], 1) for part in held.split(AT_ONCE)]
        )
    shown = labels[held] > 0
    right = (predicted == labels[held]) & shown
    kind, colour, hand = (right.sum((0, 2)) / shown.sum((0, 2))).tolist()
    return {"patch_kind": round(kind, 3), "patch_colour": round(colour, 3), "patch_hand": round(hand, 3)}


@torch.no_grad()
def clip_features(backbone: Backbone, pixels: Float[Tensor, "clip frame ..."]) -> ClipFeatures:
    """Compute the features of clips, some stills at a time."""
    stills = pixels.flatten(0, 1).unsqueeze(1).split(AT_ONCE)
    features = torch.cat([backbone.encode(part.to(backbone.hf.device)) for part in stills])
    return features.squeeze(1).unflatten(0, pixels.shape[:2])
