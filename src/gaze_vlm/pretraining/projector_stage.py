"""The second stage of pretraining: projector and language model learn to answer questions about stills."""

from dataclasses import replace

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from gaze_vlm.backbones.collator import Collator
from gaze_vlm.datamodules.clip import IGNORED
from gaze_vlm.pretraining.optimisation import steps
from gaze_vlm.pretraining.options import StageOptions
from gaze_vlm.pretraining.questions import TOOL, ask_of_crops, ask_of_scene
from gaze_vlm.pretraining.stills import Still

DRAWS = 4  # of questions about the held-out clips


def align(
    model: LlavaForConditionalGeneration,
    collator: Collator,
    features: Float[Tensor, "clip frame patch width"],
    clips: list[list[Still]],
    stage: StageOptions,
    rng: np.random.Generator,
    held_out_clips: int,
    scenes: bool = True,
) -> dict[str, float]:
    """Train the model's trainable parameters behind the frozen tower.

    Three steps of four name crops (the mean token of an object's patches), the fourth asks about whole scenes.

    Args:
        model: projector and language model are trained, or parts of them.
        collator: of the model.
        features: of the frozen tower, which the projector reads.
        clips: their stills, of which the questions are; the last of them are held out.
        stage: how long and how fast.
        rng: draws clips and questions.
        held_out_clips: how many clips are kept for the measurement.
        scenes: ask of whole scenes too, with all of a still's tokens.

    Returns:
        What `measure` returns for held-out clips; each word is predicted from the words before it.
    """
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    trained = len(clips) - held_out_clips
    for number, step in enumerate(steps(parameters, stage.lr, stage.steps, "aligning")):
        crops = number % 4 != 0 or not scenes
        index = rng.integers(0, trained, stage.batch_size)
        step(answer_loss(model, collator, features[index], [clips[i] for i in index], crops, rng)[0])
    facts: dict[str, float] = {}
    for asked, crops in (("crop", True), ("scene", False)):
        if crops or scenes:
            scores = measure(model, collator, features[trained:], clips[trained:], crops, rng)
            facts |= {f"{asked}_{name}": share for name, share in scores.items()}
    return facts


@torch.no_grad()
def measure(
    model: LlavaForConditionalGeneration,
    collator: Collator,
    features: Float[Tensor, "clip frame patch width"],
    clips: list[list[Still]],
    crops: bool,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Measure which shares of what `answer_loss` returns are right.

    Several questions are drawn about each clip.
    """
    drawn = [answer_loss(model, collator, features, clips, crops, rng)[1] for _ in range(DRAWS)]
    return {name: round(float(torch.cat([one[name] for one in drawn]).float().mean()), 3) for name in drawn[0]}


def answer_loss(
    model: LlavaForConditionalGeneration,
    collator: Collator,
    features: Float[Tensor, "clip frame patch width"],
    clips: list[list[Still]],
    crops: bool,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Ask about each clip's last still, and compute the loss of the answers.

    Returns:
        The cross-entropy of an answer token; and which `tokens` are right, which whole `answers`, and which of them
        about objects and about the hand's tool.
    """
    projected = model.model.multi_modal_projector(features)
    if crops:
        questions, weights = ask_of_crops(clips, rng, collator.grid.rows)
        visual = einsum(projected, weights.to(model.device), "clip frame patch d, clip frame patch -> clip frame d")
    else:
        visual = projected[:, -1]
        questions = [ask_of_scene(clip[-1], rng) for clip in clips]
    frames, per_frame = (features.shape[1], 1) if crops else (1, len(collator.grid))
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
    in_answer, right = labels != IGNORED, logits.argmax(-1) == labels
    whole = (right | ~in_answer).all(1)
    of_tool = torch.tensor([question == TOOL for question, _ in questions], device=model.device)
    scores = {"tokens": right[in_answer], "answers": whole}
    return loss, scores | {"object_answers": whole[~of_tool], "tool_answers": whole[of_tool]}
