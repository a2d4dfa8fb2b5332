"""`gaze-vlm export`: a run's model for `transformers`, or what was trained of it; docs/export.md shows its use."""

import json
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.export_files import BLOCK, SETTINGS
from gaze_vlm.backbones.lora import merge_lora, save_adapter
from gaze_vlm.errors import InputError
from gaze_vlm.output import check_new_folder, draft_folder, writing
from gaze_vlm.training.configured import load_run

Form = Literal["whole", "adapter", "block"]


def export(run: Path, output: Path, form: Form = "whole") -> Path:
    """Write a run's model as a checkpoint folder of `transformers`, or what was trained of it alone.

    A folder holds safetensors, config and processor. Trained beside weights of 4 bits, LoRA is merged into the base
    model's full ones.

    Args:
        run: directory of a finished run.
        output: folder to write, new or empty.
        form: `whole` is the model, with LoRA merged. `adapter` is LoRA for peft, with parts that were trained in full
            and the gaze block. `block` is the gaze block, where nothing else was trained.

    Raises:
        InputError: the run is not finished, or has no such form, or the folder holds something.
    """
    check_new_folder(output)
    backbone = load_run(run, quantization=None).model.backbone
    with draft_folder(output) as draft, writing(output):
        export_backbone(backbone, draft, form)
    beside = f"; its gaze block is in {BLOCK}, see docs/export.md" if backbone.block is not None else ""
    print(f"wrote {output}{beside}")
    return output


def export_backbone(backbone: Backbone, output: Path, form: Form = "whole") -> None:
    """Write a loaded backbone. In the form `whole` its LoRA is merged: it cannot be trained further.

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
    backbone.processor.save_pretrained(output)
    write_settings(backbone, output)


def write_settings(backbone: Backbone, output: Path) -> None:
    """Write how frames go in, and the gaze block."""
    chosen = backbone.options
    options: dict[str, Any] = {
        "frame_size_px": backbone.frame_size_px,
        "max_new_tokens": chosen.max_new_tokens,
    }
    if "media" in signature(type(backbone)).parameters:
        options["media"] = backbone.media
    settings = {
        "backbone": type(backbone).__name__,
        "base_checkpoint": chosen.checkpoint,
        "options": options,  # of the backbone
        "view": asdict(chosen.view),
        "media": backbone.media,
        "processor_options": backbone.collator().image_options,
        "block": None if backbone.block is None else backbone.block.settings,
    }
    (output / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    if backbone.block is not None:
        save_file({name: value.contiguous() for name, value in backbone.block.state_dict().items()}, output / BLOCK)
