"""Any model to ask: a run's, an export, a checkpoint."""

from pathlib import Path
from typing import Any

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.families import family_of
from gaze_vlm.home import in_home
from gaze_vlm.inference.exported import is_export, load_export
from gaze_vlm.runs.directory import RunDirectory


def load_backbone(model: str | Path, **options: Any) -> Backbone:
    """Load a model that answers, in eval mode.

    Args:
        model: directory of a finished run, a folder that `gaze-vlm export` wrote, a checkpoint's folder, its hub name,
            or the name of one that ships (`kitchen-llava`).
        options: of `BackboneOptions` (such as `dtype="bfloat16"` or `language_layers="all"`), in the place of the
            run's or the export's. Nothing of an export or a checkpoint is trainable unless `train` or `lora` says so.

    Returns:
        The backbone; `gaze_vlm.inference.clips` makes clips for it.

    Raises:
        MissingFileError: there is no such model, or a file of it is missing.
        InputError: it is damaged, or of no family that is known.

    Example:
        The tiny LLaVA that ships sees two grey frames:

        >>> import torch
        >>> from gaze_vlm.inference.clips import answer, clip_of_frames
        >>> backbone = load_backbone("kitchen-llava", max_new_tokens=8)
        >>> frames = torch.full((2, 3, 96, 96), 128, dtype=torch.uint8)
        >>> clip = clip_of_frames(frames, [1.0, 2.0], "what does the hand hold ?")
        >>> answer(backbone, [clip])
        ['nothing']
    """
    model = in_home(str(model))
    folder = Path(model)
    if RunDirectory(folder).config.is_file():
        from gaze_vlm.training.configured import load_run  # the one that needs Lightning

        return load_run(folder, **options).model.backbone
    if is_export(folder):
        return load_export(folder, **options).eval()
    backbone = family_of(model)(model, **{"train": (), **options})
    backbone.load()
    return backbone.eval()
