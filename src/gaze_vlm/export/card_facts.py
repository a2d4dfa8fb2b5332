"""What a model card says of a training."""

from pathlib import Path

from gaze_vlm.attention.regularizer import GazeRegularizer
from gaze_vlm.backbones.parts import count_numbers
from gaze_vlm.comparison.cells import duration_text
from gaze_vlm.comparison.runs import Run
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.doctor.doctor import source_in_words
from gaze_vlm.export.licences import hub_name
from gaze_vlm.training.configured import ConfiguredTraining
from gaze_vlm.training.export import Form

FORMS = {
    "whole": "the whole model, LoRA merged where there was one",
    "adapter": "LoRA for peft, with all else that was trained",
    "block": "the gaze block, which alone was trained",
}
DIVERGENCES = {
    "attention_to_gaze": "KL(attention ‖ gaze)",
    "gaze_to_attention": "KL(gaze ‖ attention)",
    "js": "the Jensen–Shannon divergence of attention and gaze",
}
GAZE = {
    "own": "the wearer's own",
    "shuffled": "of clips of other sessions: a control",
    "shuffled_in_time": "of other times of the same session: a control",
    "centre": "none, but a broad Gaussian at the centre: a control",
}
"""By `data.train_gaze`."""


def named(checkpoint: str) -> str:
    """Return a checkpoint's name without the folders that it lies in, which are whoever trained's own."""
    return checkpoint if hub_name(checkpoint) else Path(checkpoint).name


def how_gaze(regularizer: GazeRegularizer | None, data: ClipDataModule) -> str:
    """Say in a sentence what part gaze had."""
    if data.sees_gaze_at_test:
        return "**It was trained with gaze among its inputs, and needs it**: without, it answers as nothing here says."
    if regularizer is None or not regularizer.is_active:
        return "Its training used no gaze."
    if data.targets is not None:
        return "While it was trained, its attention was pulled toward given targets in the frames; it takes none."
    if data.train_gaze == "own":
        return "While it was trained, its attention was pulled toward the wearer's gaze; it takes none."
    return f"While it was trained, its attention was pulled toward gaze that is {GAZE[data.train_gaze]}."


def loss_in_words(regularizer: GazeRegularizer | None) -> str:
    """Return the loss as a formula, with λ and ε."""
    if regularizer is None:
        return "cross-entropy"
    kind = "" if type(regularizer) is GazeRegularizer else f", {type(regularizer).__name__}"
    divergence = DIVERGENCES[regularizer.direction]
    return f"cross-entropy + λ · {divergence}, λ = {float(regularizer.weight):g}, ε = {regularizer.floor:g}{kind}"


def facts_of(cli: ConfiguredTraining, form: Form, tested: Run | None) -> dict[str, str]:
    """Describe what was trained how; names of others are as they are."""
    backbone, data, run = cli.model.backbone, cli.datamodule, cli.options
    options = backbone.options
    trained = count_numbers(one for one in backbone.parameters() if one.requires_grad)
    facts = {
        "form": FORMS[form],
        "model": f"{type(backbone.hf).__name__}, {count_numbers(backbone.parameters()):,} parameters",
        "base model": named(options.checkpoint),
        "arm": run.arm,
        "loss": loss_in_words(cli.model.regularizer),
        "attention in the loss": source_in_words(backbone),
        "gaze in training": "given targets" if data.targets is not None else GAZE[data.train_gaze],
        "trained in full": ", ".join([*options.train, *(["gaze block"] if backbone.block is not None else [])]),
        "LoRA": "none" if options.lora is None else str(options.lora),
        "trained parameters": f"{trained:,}",
        "data set": run.dataset,
        "seed": str(cli.config["seed_everything"]),
    }
    if tested is not None:
        facts["training clips"] = f"{tested.train_clips:,}"
        if tested.train_seconds is not None:
            facts["time of the steps"] = f"{duration_text(tested.train_seconds)} on {tested.device}"
    return {name: fact for name, fact in facts.items() if fact}
