"""What a checkpoint holds beside Lightning's own state: trainable parameters, and the run that they belong to."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gaze_vlm.errors import InputError, UserError, first_of
from gaze_vlm.foreign_text import visible
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.shipped.checkpoints import shipped_checkpoints
from gaze_vlm.training.finite import refuse_unfinite_weights

OF_A_STEP = (
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "limit_train_batches",
    "precision",
)
FREE_TO_CHANGE = {  # how data are loaded and kept, and what is only scored
    "data.workers",
    "data.cached_clips",
    "data.unreadable_share",
    "data.decode_timeout_s",
    "data.features",
    "data.features_gb",
    "data.test_split",
    "data.store",  # whose content is compared
    "model.backbone.init_args.gradient_checkpointing",
}
LATER = ("block_settings", "lora_alpha", "view", "media")  # of an identity: older checkpoints do not remember them
SHOWN_LETTERS = 200  # of an error


def trainable_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the state without frozen weights: trainable parameters and buffers.

    Frozen weights stay in their own checkpoint.
    """
    state = module.state_dict()
    # A shared weight goes by several names; a weight of 4 bits has its scales under names that no buffer has.
    parameters = module.named_parameters(remove_duplicate=False)
    names = [name for name, parameter in parameters if parameter.requires_grad]
    names += [name for name, _ in module.named_buffers(remove_duplicate=False)]
    return {name: state[name] for name in names if name in state}


def store_digest(store: Path) -> str | None:
    """Return the SHA-256 of a store's manifest, which marks the gaze and videos, and clips; None without a store."""
    files = StoreFiles(store).of_training
    if not all(file.is_file() for file in files):
        return None
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def check_made_by(remembered: dict[str, Any], present: dict[str, Any], resumes: bool) -> None:
    """Refuse a checkpoint of another arm or seed.

    Where a training resumes, other training data and other options are refused too. A test may be on another data set;
    one of the same name that was prepared anew is only warned of.

    Raises:
        InputError: naming the difference.
    """
    of_training = ("dataset", "store", "train_clips", "processes") if resumes else ()
    for key in ("arm", "seed", *of_training):
        if key in remembered and remembered[key] != present.get(key):
            raise InputError(
                f"the checkpoint is of {key} {remembered[key]}, this run's config says {present.get(key)}: use it with "
                "the config.yaml that stands beside it"
            )
    if resumes and "options" in remembered:
        refuse_other_options(remembered["options"], present["options"])
    same_name = remembered.get("dataset") == present.get("dataset")
    stores = {remembered.get("store"), present.get("store")}
    if same_name and None not in stores and len(stores) > 1:
        warnings.warn(f"the store of {present['dataset']} is not the one that the run was trained on", stacklevel=3)


def options_of_training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return, by their dotted names, the options that a training may not change when it resumes.

    Args:
        config: options of `fit`, nested.
    """
    chosen = {part: config[part] for part in ("model", "data")}
    chosen["trainer"] = {name: config["trainer"].get(name) for name in OF_A_STEP}
    options = dict(_flat(json.loads(json.dumps(chosen, default=str))))
    return {name: value for name, value in options.items() if name not in FREE_TO_CHANGE}


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def refuse_other_options(remembered: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    """Refuse to resume with other options than a training began with.

    A path may be written relative to another folder.

    Raises:
        InputError: naming the options, with both values.
    """
    differing = [
        f"{name} {remembered.get(name)} (now {present.get(name)})"
        for name in sorted(remembered.keys() | present.keys())
        if remembered.get(name) != present.get(name) and not is_same_place(remembered.get(name), present.get(name))
    ]
    if differing:
        raise InputError(
            f"the training began with {first_of(differing)}: resume it with the config.yaml that stands "
            "beside its checkpoints, or begin anew in another run.dir"
        )


def check_belongs(
    checkpoint: dict[str, Any], present: dict[str, Any], weights: Mapping[str, Tensor], resumes: bool
) -> None:
    """Refuse a checkpoint of another model.

    A warning says where the run's own config overrules what the checkpoint remembers.

    Args:
        checkpoint: as it was read.
        present: the identity of the module that is to load it (`GazeVLM.identity`).
        weights: that module's trainable state.
        resumes: a training resumes from it.

    Raises:
        InputError: another backbone, grid, block or LoRA, weights that are missing, too many or of another shape, or
            values that no checkpoint of ours has.
    """
    if checkpoint.get("gaze_vlm") is None:
        raise InputError("the checkpoint was not written by gaze_vlm: it has no `gaze_vlm` entry")
    try:
        _check_identity(checkpoint["gaze_vlm"], present, resumes)
        _check_weights(checkpoint["state_dict"], weights)
    except UserError as error:  # a text of the checkpoint's may be in it
        raise InputError(visible(str(error), keep="")) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found = f"{type(error).__name__}: {visible(str(error)[:SHOWN_LETTERS], keep='')}"
        raise InputError(f"the checkpoint holds values that gaze_vlm does not write ({found}): take another") from error


def _check_identity(remembered: Mapping[str, Any], present: Mapping[str, Any], resumes: bool) -> None:
    remembered = {**{key: present[key] for key in LATER}, **remembered}
    for key in ("backbone", "grid", "block", "block_settings", "lora", "lora_alpha"):
        if remembered.get(key) != present[key]:
            raise InputError(
                f"the checkpoint was trained with {key} {remembered[key]}, this run's config builds {key} "
                f"{present[key]}: test it with the config.yaml that stands beside it"
            )
    check_made_by(remembered.get("made_by") or {}, present["made_by"], resumes)
    for key in ("base_checkpoint", "view", "media", "lambda", "floor"):
        if remembered[key] != present[key] and not is_same_place(remembered[key], present[key]):
            warnings.warn(
                f"the checkpoint remembers {key} {remembered[key]}, this run's config says {present[key]}: "
                "the config is used",
                stacklevel=4,
            )


def _check_weights(state: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    shapes, expected = ({name: list(value.shape) for name, value in one.items()} for one in (state, weights))
    differing = sorted(
        name for name in shapes.keys() | expected.keys() if shapes.get(name, ...) != expected.get(name, ...)
    )
    if differing:
        raise InputError(
            f"the checkpoint and this run's config differ in {len(differing)} trained weights, such as "
            f"{differing[0]}: test it with the config.yaml that stands beside it"
        )
    refuse_unfinite_weights(state, "the checkpoint cannot be used")


def is_same_place(first: Any, second: Any) -> bool:
    """Return whether two paths may name one place, one relative to a folder above.

    The run was moved, or is used from elsewhere. The name of a shipped checkpoint is no path.
    """
    if not (isinstance(first, str) and isinstance(second, str)) or {first, second} & shipped_checkpoints().keys():
        return False
    short, long = sorted((Path(first).parts, Path(second).parts), key=len)
    return long[-len(short) :] == short
