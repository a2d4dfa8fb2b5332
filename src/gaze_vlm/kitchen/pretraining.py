"""The kitchen's own LLaVA, from scratch: an encoder that has seen kitchens, and a language model aligned to it.

A real run starts from a pretrained checkpoint. None can ship, so this makes one of the real classes. It knows stills
of random kitchens, no recipe and no gaze, and is the same for all arms that are compared:

1. *encoder*: the vision tower learns to name what each patch shows (dense labels from the renderer);
2. *alignment*: projector and language model learn to answer questions about scenes, the tower frozen.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from gaze_vlm.attention.sources import IGNORED
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.tiny_llava import TinyLlavaSize, build_tiny_llava, save
from gaze_vlm.datamodules.clips import PROMPTS
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.kitchen.build import VERSION
from gaze_vlm.kitchen.families import FAMILIES
from gaze_vlm.kitchen.joint_pretraining import JointPretraining, make_family
from gaze_vlm.kitchen.optimisation import best_device, steps
from gaze_vlm.kitchen.patch_labels import CLASSES, crop_weights, patch_labels
from gaze_vlm.kitchen.questions import ask_of_crop, ask_of_scene, vocabulary
from gaze_vlm.kitchen.stills import Still, render_stills

FRAMES = 4
HELD_OUT = 200  # clips on which the page of facts is measured
SIZE = TinyLlavaSize(vision_width=96, vision_layers=3, language_width=64)


@dataclass(frozen=True)
class Pretraining:
    """How a backbone is made: clips of four stills, steps and learning rates of the two stages."""

    clips: int = 2400
    encoder_steps: int = 1000
    alignment_steps: int = 800
    encoder_lr: float = 2.5e-3
    alignment_lr: float = 3e-3
    batch_size: int = 64


def make_backbone(
    output: Path,
    seed: int = 0,
    family: str | None = None,
    pretraining: Pretraining = Pretraining(),
    joint_pretraining: JointPretraining = JointPretraining(),  # noqa: B008 (frozen)
) -> Path:
    """Train a tiny model on the kitchen's stills and save it as an ordinary `transformers` checkpoint.

    Args:
        output: folder of the checkpoint; one that is there already, made the same way, is kept.
        seed: draws the stills, the weights and the order.
        family: llava, llava-next-video, llava-onevision, qwen2-vl, qwen2.5-vl, qwen3-vl, internvl3, narrator or
            smolvlm2, all made alike in one stage; left out, the LLaVA of the kitchen's main table, made in two.
        pretraining: how long and how fast, in two stages.
        joint_pretraining: how long and how fast, in one.

    Raises:
        ValueError: an unknown family, or the folder holds something else.
    """
    if family is not None and family not in FAMILIES:
        raise ValueError(f"family {family}: choose one of {', '.join(FAMILIES)}")
    how = vars(pretraining) if family is None else {"family": family, **vars(joint_pretraining)}
    facts: dict[str, Any] = {"kitchen": VERSION, "seed": seed, **how}
    page = output / "pretraining.json"
    if page.is_file() and facts.items() <= json.loads(page.read_text()).items():
        print(f"{output} is there already")
        return output
    if output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty and holds another backbone: delete it or choose another folder")
    # Moved into place at the end: a stopped one is made again.
    unfinished = output.with_name(f".{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    torch.manual_seed(seed)
    words = [*vocabulary(), *" ".join(PROMPTS.values()).replace("?", " ?").lower().split()]
    if family is None:
        facts |= make_llava(unfinished, words, seed, pretraining)
    else:
        facts |= make_family(unfinished, words, seed, FAMILIES[family], joint_pretraining)
    (unfinished / page.name).write_text(json.dumps(facts, indent=1) + "\n")
    if output.exists():
        output.rmdir()  # empty, as was checked
    unfinished.rename(output)
    return output


def make_llava(folder: Path, words: list[str], seed: int, pretraining: Pretraining) -> dict[str, float]:
    """The main table's backbone in two stages; returns what it can do."""
    clips = render_stills(pretraining.clips + HELD_OUT, FRAMES, seed)
    model, processor = build_tiny_llava(words, SIZE, seed)
    save(model, processor, folder)
    backbone = Llava(str(folder))
    backbone.load()
    backbone.to(best_device())
    collator = backbone.collator()
    pixels = collator.pixel_values(
        [to_frames(torch.from_numpy(np.stack([one.image for one in clip]))) for clip in clips]
    )
    labels = torch.from_numpy(np.stack([[patch_labels(still, backbone.grid.rows) for still in clip] for clip in clips]))
    facts = train_encoder(backbone.hf, pixels, labels, pretraining)
    features = clip_features(backbone.hf, pixels)
    facts |= align(backbone.hf, collator, features, clips, pretraining, np.random.default_rng(seed), HELD_OUT)
    save(backbone.hf, processor, folder)
    return facts


def train_encoder(
    model: LlavaForConditionalGeneration,
    pixels: Float[Tensor, "clip frame 3 height width"],
    labels: Int[Tensor, "clip frame label patch"],
    pretraining: Pretraining,
) -> dict[str, float]:
    """Stage 1; returns the accuracy on held-out patches that show something."""
    tower = model.model.vision_tower.requires_grad_(True)
    images, labels = pixels.flatten(0, 1), labels.flatten(0, 1).to(model.device)
    held_out = HELD_OUT * FRAMES
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
    with torch.no_grad():
        index = torch.arange(len(images) - held_out, len(images))
        said = torch.stack([part.argmax(-1) for part in scores(index)], 1)
    shown = labels[index] > 0
    right = (said == labels[index]) & shown
    kind, colour, hand = (right.sum((0, 2)) / shown.sum((0, 2))).tolist()
    return {"patch_kind": round(kind, 3), "patch_colour": round(colour, 3), "patch_hand": round(hand, 3)}


def visual_features(model: LlavaForConditionalGeneration, images: Tensor) -> Float[Tensor, "image patch width"]:
    """Patch features that LLaVA's projector reads."""
    return model.model.vision_tower(images, output_hidden_states=True).hidden_states[-1][:, 1:]


@torch.no_grad()
def clip_features(
    model: LlavaForConditionalGeneration, pixels: Float[Tensor, "clip frame 3 height width"]
) -> Float[Tensor, "clip frame patch width"]:
    """The same of clips, a part of them at a time."""
    features = torch.cat([visual_features(model, part.to(model.device)) for part in pixels.flatten(0, 1).split(256)])
    return features.unflatten(0, pixels.shape[:2])


def align(
    model: LlavaForConditionalGeneration,
    collator: Collator,
    features: Float[Tensor, "clip frame patch width"],
    clips: list[list[Still]],
    pretraining: Pretraining,
    rng: np.random.Generator,
    held_out_clips: int,
    language: bool = True,
    scenes: bool = True,
) -> dict[str, float]:
    """Stage 2, the tower frozen: crops to name in three steps of four (the mean token of an object's patches), whole
    scenes in the fourth.

    Args:
        features: of the frozen tower, which the projector reads.
        clips: their stills, of which the questions are; the last of them are held out.
        pretraining: steps, learning rate and batch size.
        rng: draws clips and questions.
        held_out_clips: how many clips are kept for the measurement.
        language: let the language model learn beside the projector.
        scenes: ask of whole scenes too, with all of a still's tokens.

    Returns:
        The share of answer tokens that are right on held-out clips.
    """
    model.requires_grad_(language).train()
    model.model.vision_tower.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def loss_and_accuracy(index: np.ndarray, crops: bool) -> tuple[Tensor, Tensor]:
        projected = model.model.multi_modal_projector(features[index])
        if crops:
            asked = [[ask_of_crop(still, rng) for still in clips[i]] for i in index]
            weights = np.stack(
                [
                    [crop_weights(still, ask[2], collator.grid.rows) for still, ask in zip(clips[i], asks, strict=True)]
                    for i, asks in zip(index, asked, strict=True)
                ]
            )
            shares = torch.from_numpy(weights).to(model.device)
            visual = einsum(projected, shares, "clip frame patch d, clip frame patch -> clip frame d")
            questions = [asks[-1][:2] for asks in asked]  # of the last still
        else:
            visual = projected[:, -1]
            questions = [ask_of_scene(clips[i][-1], rng) for i in index]
        frames, per_frame = (FRAMES, 1) if crops else (1, len(collator.grid))
        asker = replace(collator, tokens_per_frame=per_frame)
        inputs = asker.with_labels([asker.tokenize(text, reply, [0.0] * frames) for text, reply in questions])
        inputs = move_data_to_device(inputs, model.device)
        labels = inputs.pop("labels")
        embedded = model.get_input_embeddings()(inputs["input_ids"])
        places = (inputs.pop("input_ids") == collator.visual_token)[..., None]
        longest = int((labels != IGNORED).sum(1).max())
        logits = model(
            inputs_embeds=embedded.masked_scatter(places, visual.flatten(0, 1)),
            position_ids=(inputs["attention_mask"].cumsum(1) - 1).clamp_min(0),
            logits_to_keep=longest + 1,
            use_cache=False,
            **inputs,
        ).logits[:, :-1]
        labels = labels[:, -longest:]
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        return loss, (logits.argmax(-1) == labels)[labels != IGNORED].float().mean()

    for number, step in enumerate(steps(parameters, pretraining.alignment_lr, pretraining.alignment_steps, "aligning")):
        crops = number % 4 != 0 or not scenes
        index = rng.integers(0, len(clips) - held_out_clips, pretraining.batch_size)
        step(loss_and_accuracy(index, crops)[0])
    held_out = np.arange(len(clips) - held_out_clips, len(clips))
    with torch.no_grad():
        return {
            name: round(float(loss_and_accuracy(held_out, crops)[1]), 3)
            for name, crops in (("crop_tokens", True), ("scene_tokens", False))
            if crops or scenes
        }
