"""What `gaze-vlm export` wrote, as a backbone: a model, or an adapter or a block on its base model."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from safetensors import SafetensorError
from safetensors.torch import load_file

from gaze_vlm.attention.block import GazeBlock
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.export_files import BLOCK, SETTINGS, ClipShape
from gaze_vlm.backbones.families import FAMILIES
from gaze_vlm.backbones.lora import ADAPTER_CONFIG, merge_adapter
from gaze_vlm.datamodules.clip import Task, known_tasks
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.gaze.view import View
from gaze_vlm.json_files import from_json, read_json, shown

AGAIN = "export the run again"


@dataclass(frozen=True)
class ExportOptions:
    """The backbone's options that an export keeps."""

    max_new_tokens: int
    vit_layers: tuple[int, ...] | str
    language_layers: tuple[int, ...] | str
    heads: tuple[int, ...]
    frame_size_px: tuple[int, ...] | None = None
    media: str | None = None


@dataclass(frozen=True)
class ExportSettings:
    """What `gaze_vlm.json` says of an export."""

    backbone: str
    base_checkpoint: str
    options: dict[str, Any]
    view: dict[str, float]
    media: str
    clip: dict[str, Any] | None  # of a `ClipShape`
    prompts: dict[Task, str]
    gaze_input: str
    block: dict[str, Any] | None


def is_export(folder: Path) -> bool:
    """Whether a folder is one that `gaze-vlm export` wrote."""
    return (folder / SETTINGS).is_file()


def load_export(folder: Path, **options: Any) -> Backbone:
    """Load an exported folder of any form.

    Args:
        folder: with `gaze_vlm.json`; of the forms `adapter` and `block`, the base checkpoint must be there too.
        options: of `BackboneOptions`, in the place of the export's.

    Raises:
        MissingFileError: a file is missing, or the base checkpoint.
        InputError: a file is damaged, or does not belong to the others.
    """
    settings = read_settings(folder)
    family = next((family for family in FAMILIES if family.__name__ == settings.backbone), None)
    if family is None:
        known = ", ".join(family.__name__ for family in FAMILIES)
        raise InputError(f"{folder / SETTINGS} names the backbone {settings.backbone!r}, not one of {known}: {AGAIN}")
    is_whole = (folder / "config.json").is_file()
    kept = from_json(ExportOptions, settings.options)
    chosen: dict[str, Any] = {
        "train": (),
        "view": View(**settings.view),
        "block": None if settings.block is None else partial(GazeBlock, **settings.block),
        **{name: value for name, value in asdict(kept).items() if value is not None},
        **options,
    }
    backbone = family(str(folder) if is_whole else settings.base_checkpoint, **chosen)
    backbone.load()
    if (folder / ADAPTER_CONFIG).is_file():
        merge_adapter(backbone.hf, folder)
    if backbone.block is not None:
        _load_block(backbone.block, folder / BLOCK)
    return backbone


def read_settings(folder: Path) -> ExportSettings:
    """Read what `gaze_vlm.json` says of an export.

    Raises:
        InputError: it is damaged.
    """
    file = folder / SETTINGS
    values = read_json(file, AGAIN)
    try:
        settings = from_json(ExportSettings, values)
        known_tasks(prompts=settings.prompts)
        if settings.clip is not None:
            from_json(ClipShape, settings.clip)
        options = from_json(ExportOptions, settings.options)
        View(**settings.view)
        if settings.block is not None:
            GazeBlock(1, **settings.block)
        known = {"media": (None, *get_args(Media)), "vit_layers": ("all",), "language_layers": ("all",)}
        for name, values in known.items():
            value = getattr(options, name)
            if value not in values and not isinstance(value, tuple):
                raise TypeError(f"{name} is {shown(value)}")
    except (TypeError, OverflowError, InputError) as error:
        raise InputError(f"{file} is damaged ({error}): {AGAIN}") from error
    return settings


def _load_block(block: GazeBlock, file: Path) -> None:
    if not file.is_file():
        raise MissingFileError(f"{file} is missing: copy the whole exported folder, or {AGAIN}")
    try:
        block.load_state_dict(load_file(file))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(f"{file} does not fit the block of {SETTINGS}: {AGAIN}") from error
