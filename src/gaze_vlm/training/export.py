"""A run's model as a folder for `transformers`, or what was trained of it; docs/export.md shows its use."""

import json
from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.export_files import BLOCK, SETTINGS, ClipShape
from gaze_vlm.backbones.greedy import greedy_config
from gaze_vlm.backbones.lora import merge_lora, save_adapter
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.errors import InputError
from gaze_vlm.preparation.records import Task

Form = Literal["whole", "adapter", "block"]


def export_backbone(
    backbone: Backbone,
    output: Path,
    form: Form = "whole",
    clip: ClipShape | None = None,
    prompts: Mapping[Task, str] | None = None,
    gaze_input: str = "none",
) -> None:
    """Write a loaded backbone. In the form `whole` its LoRA is merged: it cannot be trained further.

    Args:
        backbone: the model.
        output: folder, which is there.
        form: `whole`, `adapter` or `block`, see `gaze_vlm.export.export`.
        clip: the clips that it was trained on, where that is known.
        prompts: the question of each task; the usual ones by default.
        gaze_input: of the datamodule: whether it was given gaze.

    Raises:
        InputError: there is no such form of it.
    """
    chosen = backbone.options
    if form == "adapter":
        if chosen.lora is None:
            raise InputError("the run was trained without LoRA, so there is no adapter: use --form whole")
        save_adapter(backbone.hf, backbone.parts(), chosen.train, output)
    elif form == "block":
        trained = [name for name, parameters in backbone.trainable_parameters().items() if parameters]
        if trained != ["block"]:
            found = " and ".join(trained)
            raise InputError(f"not the block alone was trained, but {found}: use --form whole or adapter")
    else:
        if chosen.lora is not None:
            merge_lora(backbone.hf)
        backbone.hf.save_pretrained(output)
    own, tokenizer = backbone.hf.generation_config, backbone.processor.tokenizer
    greedy_config(own, tokenizer, chosen.max_new_tokens).save_pretrained(output)
    frame_processor(backbone).save_pretrained(output)
    trained_on = {
        "clip": None if clip is None else asdict(clip),
        "prompts": {**(PROMPTS if prompts is None else prompts)},
        "gaze_input": gaze_input,
    }
    write_settings(backbone, output, trained_on)


def frame_processor(backbone: Backbone) -> Any:
    """Return the processor that does with frames, unasked, what it did in the run.

    Frames of the run's size go in as they are, and others are squashed to it. The processors of Qwen and SmolVLM, which
    cannot squash, leave the size of any frame as it is.
    """
    collator = backbone.collator()
    processor, name = copy(backbone.processor), f"{collator.media}_processor"
    of_frames = deepcopy(getattr(processor, name))
    for option, value in collator.image_options.items():
        setattr(of_frames, option, value)
    if "longest_edge" not in of_frames.to_dict()["size"]:
        of_frames.size, of_frames.do_resize = {"height": collator.height_px, "width": collator.width_px}, True
    setattr(processor, name, of_frames)
    return processor


def write_settings(backbone: Backbone, output: Path, trained_on: Mapping[str, Any]) -> None:
    """Write how frames go in, where attention is taken from, what the model was trained on, and the gaze block."""
    chosen = backbone.options
    options: dict[str, Any] = {
        "frame_size_px": backbone.frame_size_px,
        "max_new_tokens": chosen.max_new_tokens,
        "vit_layers": chosen.vit_layers,
        "language_layers": chosen.language_layers,
        "heads": chosen.heads,
    }
    if "media" in signature(type(backbone)).parameters:
        options["media"] = backbone.media
    settings = {
        "backbone": type(backbone).__name__,
        "base_checkpoint": chosen.checkpoint,
        "options": options,  # of the backbone
        "view": asdict(chosen.view),
        "media": backbone.media,
        **trained_on,
        "block": None if backbone.block is None else backbone.block.settings,
    }
    (output / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    if backbone.block is not None:
        save_file({name: value.contiguous() for name, value in backbone.block.state_dict().items()}, output / BLOCK)
