"""The kitchen's own LLaVA, from scratch: an encoder that has seen kitchens, and a language model aligned to it.

A real run starts from a pretrained checkpoint. This makes one of the real classes, small enough to ship: it made
`shipped/kitchen-llava`. It knows stills of random kitchens, no recipe and no gaze:

1. *encoder*: the vision tower learns to name what each patch shows (dense labels from the renderer);
2. *alignment*: projector and language model learn to answer questions about scenes, the tower frozen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.loading import chosen_device, save_checkpoint
from gaze_vlm.backbones.tiny import tiny_families
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.kitchen.build import VERSION
from gaze_vlm.pretraining.checkpoint_folder import checkpoint_folder
from gaze_vlm.pretraining.joint_pretraining import JointPretraining, make_family
from gaze_vlm.pretraining.optimisation import steps
from gaze_vlm.pretraining.patch_labels import CLASSES, patch_labels
from gaze_vlm.pretraining.projector_stage import StageOptions, align
from gaze_vlm.pretraining.questions import all_words
from gaze_vlm.pretraining.stills import render_stills
from gaze_vlm.ranges import above_zero, at_least, is_seed

FRAMES = 4
SIZE = TinyLlavaSize(vision_width=96, vision_layers=3, language_width=64)


@dataclass(frozen=True)
class Pretraining:
    """How a backbone is made, in two stages.

    Args:
        clips: clips of four stills to train on.
        encoder_steps: optimiser steps of the first stage, which trains the vision tower.
        alignment_steps: optimiser steps of the second, which trains projector and language model.
        encoder_lr: highest learning rate of the first stage.
        alignment_lr: highest learning rate of the second.
        batch_size: clips a step.
        held_out_clips: clips on which the facts are measured; they change no weight.
    """

    clips: int = 2400
    encoder_steps: int = 1000
    alignment_steps: int = 800
    encoder_lr: float = 2.5e-3
    alignment_lr: float = 3e-3
    batch_size: int = 64
    held_out_clips: int = 200

    def __post_init__(self) -> None:
        at_least(1, clips=self.clips, batch_size=self.batch_size, held_out_clips=self.held_out_clips)
        at_least(0, encoder_steps=self.encoder_steps, alignment_steps=self.alignment_steps)
        above_zero(encoder_lr=self.encoder_lr, alignment_lr=self.alignment_lr)


def make_backbone(
    output: Path,
    seed: int = 0,
    family: str | None = None,
    pretraining: Pretraining = Pretraining(),
    joint_pretraining: JointPretraining = JointPretraining(),  # noqa: B008 (frozen)
) -> Path:
    """Train a tiny model on the kitchen's stills and save it as an ordinary checkpoint.

    Args:
        output: folder of the checkpoint; one that is there already, made the same way, is kept.
        seed: draws the stills, the weights and the order.
        family: name of a family of `backbones/tiny/`, such as qwen3-vl, all made alike in one stage. Left out, the
            LLaVA of the kitchen's main table, made in two.
        pretraining: how long and how fast, in two stages.
        joint_pretraining: how long and how fast, in one.

    Raises:
        InputError: an unknown family, or the folder holds something else.
    """
    is_seed(seed)
    families = tiny_families()
    if family is not None and family not in families:
        raise InputError(f"family {family}: choose one of {', '.join(families)}")
    how = how_made(pretraining) if family is None else {"family": family, **how_made(joint_pretraining)}
    facts: dict[str, Any] = {"kitchen": VERSION, "seed": seed, **how}
    with checkpoint_folder(output, facts) as folder:
        if folder is not None:
            torch.manual_seed(seed)
            words = [*all_words(), *" ".join(PROMPTS.values()).replace("?", " ?").lower().split()]
            if family is None:
                facts |= make_llava(folder, words, seed, pretraining)
            else:
                facts |= make_family(folder, words, seed, families[family], joint_pretraining)
    return output


def how_made(pretraining: Pretraining | JointPretraining) -> dict[str, Any]:
    """Return the options that the weights depend on."""
    return {name: value for name, value in vars(pretraining).items() if name != "held_out_clips"}


def make_llava(folder: Path, words: list[str], seed: int, pretraining: Pretraining) -> dict[str, float]:
    """Make the main table's backbone in two stages, and measure it."""
    clips = render_stills(pretraining.clips + pretraining.held_out_clips, FRAMES, seed)
    model, processor = build_tiny_llava(words, SIZE, seed)
    save_checkpoint(model, processor, folder)
    backbone = Llava(str(folder))
    backbone.load()
    backbone.to(chosen_device())
    collator = backbone.collator()
    images = (to_frames(torch.from_numpy(np.stack([one.image for one in clip]))) for clip in clips)
    pixels = torch.stack([collator.pixel_values(image) for image in images])
    labels = torch.from_numpy(np.stack([[patch_labels(still, backbone.grid.rows) for still in clip] for clip in clips]))
    facts = train_encoder(backbone.hf, pixels, labels, pretraining)
    features = clip_features(backbone.hf, pixels)
    rng = np.random.default_rng(seed)
    stage = StageOptions(pretraining.alignment_steps, pretraining.alignment_lr, pretraining.batch_size)
    facts |= align(backbone.hf, collator, features, clips, stage, rng, pretraining.held_out_clips)
    save_checkpoint(backbone.hf, processor, folder)
    return facts


def train_encoder(
    model: LlavaForConditionalGeneration,
    pixels: Float[Tensor, "clip frame 3 height width"],
    labels: Int[Tensor, "clip frame label patch"],
    pretraining: Pretraining,
) -> dict[str, float]:
    """Train the vision tower; return its accuracy on held-out patches that show something."""
    tower = model.model.vision_tower.requires_grad_(True)
    images, labels = pixels.flatten(0, 1), labels.flatten(0, 1).to(model.device)
    held_out = pretraining.held_out_clips * FRAMES
    heads = nn.Linear(tower.config.hidden_size, sum(CLASSES)).to(model.device)
    parameters = [*tower.parameters(), *heads.parameters()]

    def scores(index: Tensor) -> list[Tensor]:
        return list(heads(visual_features(model, images[index].to(model.device))).split(CLASSES, -1))

    for step in steps(parameters, pretraining.encoder_lr, pretraining.encoder_steps, "training the encoder"):
        index = torch.randint(len(images) - held_out, (pretraining.batch_size,))
        step(
            sum(
                functional.cross_entropy(part.flatten(0, 1), truth.flatten())
                for part, truth in zip(scores(index), labels[index].unbind(1), strict=True)
            )
        )
    tower.requires_grad_(False)
    with torch.no_grad():
        index = torch.arange(len(images) - held_out, len(images))
        predicted = torch.stack([part.argmax(-1) for part in scores(index)], 1)
    shown = labels[index] > 0
    right = (predicted == labels[index]) & shown
    kind, colour, hand = (right.sum((0, 2)) / shown.sum((0, 2))).tolist()
    return {"patch_kind": round(kind, 3), "patch_colour": round(colour, 3), "patch_hand": round(hand, 3)}


def visual_features(model: LlavaForConditionalGeneration, images: Tensor) -> Float[Tensor, "image patch width"]:
    """Compute the patch features that LLaVA's projector reads."""
    return model.model.vision_tower(images, output_hidden_states=True).hidden_states[-1][:, 1:]


@torch.no_grad()
def clip_features(
    model: LlavaForConditionalGeneration, pixels: Float[Tensor, "clip frame 3 height width"]
) -> Float[Tensor, "clip frame patch feature"]:
    """Compute the patch features of clips, some at a time."""
    features = torch.cat([visual_features(model, part.to(model.device)) for part in pixels.flatten(0, 1).split(256)])
    return features.unflatten(0, pixels.shape[:2])
