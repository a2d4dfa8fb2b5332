"""`gaze-vlm export`: a run's model as an ordinary `transformers` checkpoint. docs/export.md shows how it is used."""

import json
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.lora import merge_lora
from gaze_vlm.output import check_new_folder, draft_folder, writing
from gaze_vlm.training.configured import load_run

SETTINGS, BLOCK = "gaze_vlm.json", "gaze_block.safetensors"


def export(run: Path, output: Path) -> Path:
    """Write a run's model, merged, as a checkpoint folder of `transformers`.

    It holds safetensors, config and processor. Trained beside weights of 4 bits, LoRA is merged into the base model's
    full ones.

    Args:
        run: directory of a finished run.
        output: folder to write, new or empty.

    Raises:
        InputError: the run is not finished, or the folder holds something.
    """
    check_new_folder(output)
    backbone = load_run(run, quantization=None).model.backbone
    with draft_folder(output) as draft, writing(output):
        export_backbone(backbone, draft)
    beside = f"; its gaze block is in {BLOCK}, see docs/export.md" if backbone.block is not None else ""
    print(f"wrote {output}{beside}")
    return output


def export_backbone(backbone: Backbone, output: Path) -> None:
    """Write a loaded backbone. Its LoRA is merged: it cannot be trained further."""
    chosen = backbone.options
    if chosen.lora is not None:
        merge_lora(backbone.hf)
    backbone.hf.save_pretrained(output)
    backbone.processor.save_pretrained(output)
    options: dict[str, Any] = {
        "frame_size_px": backbone.frame_size_px,
        "max_new_tokens": chosen.max_new_tokens,
    }
    if "media" in signature(type(backbone)).parameters:
        options["media"] = backbone.media
    settings = {
        "backbone": type(backbone).__name__,
        "options": options,  # of the backbone
        "view": asdict(chosen.view),
        "media": backbone.media,
        "processor_options": backbone.collator().image_options,
        "block": None if backbone.block is None else backbone.block.settings,
    }
    (output / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    if backbone.block is not None:
        save_file({name: value.contiguous() for name, value in backbone.block.state_dict().items()}, output / BLOCK)
