"""LoRA: low-rank additions to the frozen linear layers of a part (Hu et al. 2021, arXiv 2106.09685)."""

import copy
import re
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import cast_adapter_dtype
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from gaze_vlm.backbones.parts import ModelPart, ModelParts, parameters_by_part, part_of_modules
from gaze_vlm.errors import InputError, MissingFileError, first_of
from gaze_vlm.ranges import above_zero, at_least

ADAPTER = "default"
ADAPTER_FILE, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # peft's names
OF_PEFT = "base_model.model."  # before the names of an adapter's weights
LINEAR = (nn.Linear, Conv1D)  # Conv1D is GPT-2's linear layer


@dataclass(frozen=True)
class Lora:
    """What LoRA adds to: y = W x + alpha / rank · B A x, with W frozen and B zero at the start.

    By default every linear layer of a part but the language model's head: additions to the attention alone need a
    higher rank to learn as much (Dettmers et al. 2023, arXiv 2305.14314, §4), and a head that shares its weight with
    the embeddings could not be merged into them.

    Args:
        parts: that are trained so. The backbone's `train` must not name them, whose parts are trained in full.
        rank: of A and B.
        alpha: scale of the addition, divided by the rank.
        dropout: of the input of A.
        targets: regular expression that matches the whole name of a linear layer within its module, such as
            `[qkvo]_proj`, whatever part and layer it lies in.

    Raises:
        InputError: a value out of range.
    """

    parts: tuple[ModelPart, ...] = ("language",)
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: str = ".*"

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("lora.parts is empty: name vision, projector or language, or set lora to null")
        at_least(1, rank=self.rank)
        above_zero(alpha=self.alpha)
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}; expected a share in [0, 1)")

    def __str__(self) -> str:
        return f"rank {self.rank} on {', '.join(self.parts)} ({self.targets})"


def linear_layers(hf: Any, parts: ModelParts, lora: Lora, unused: Collection[nn.Parameter]) -> list[str]:
    """List the full names of the layers that LoRA adds to.

    A pattern on names would hit other towers, whose layers have the same.

    Raises:
        InputError: a part has no such layer.
    """
    part_of = part_of_modules(parts)
    linear = {
        name: module
        for name, module in hf.named_modules()
        if isinstance(module, LINEAR) and module is not hf.get_output_embeddings() and module.weight not in unused
    }
    chosen: list[str] = []
    for part in lora.parts:
        of_part = [name for name, module in linear.items() if part_of.get(module) == part]
        matching = [name for name in of_part if re.fullmatch(lora.targets, name.rpartition(".")[2])]
        if not matching:
            leaves = sorted({name.rpartition(".")[2] for name in of_part})
            raise InputError(f"lora.targets {lora.targets!r} matches no linear layer of {part}: it has {leaves}")
        chosen += matching
    return chosen


def add_lora(hf: Any, parts: ModelParts, lora: Lora, unused: Collection[nn.Parameter]) -> None:
    """Add LoRA to a model in place, in 32 bits, and freeze all other parameters.

    By peft's own injection: the library's `add_adapter` refuses peft releases that serve as well.
    """
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # a float serves
        lora_dropout=lora.dropout,
        target_modules=linear_layers(hf, parts, lora, unused),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to")  # which peft then fixes, layer by layer
        inject_adapter_in_model(config, hf, ADAPTER)
    cast_adapter_dtype(hf, ADAPTER)  # steps of 1e-4 are lost on weights of 16 bits
    for module in hf.modules():
        if isinstance(module, LoraLayer):
            module._cast_input_dtype = cast_unless_autocast  # type: ignore[method-assign, assignment]


def cast_unless_autocast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast the input of A to A's own dtype; under autocast leave it as it is.

    peft casts in either case: to 32 bits, of which autocast makes 16 again. No value changes by it, but each layer then
    keeps its own copy of what it reads for the backward pass, where layers that read the same could share it.
    """
    return x if torch.is_autocast_enabled(x.device.type) else x.to(dtype)


def set_trainable(
    hf: Any, parts: ModelParts, train: tuple[ModelPart, ...], lora: Lora | None, unused: Collection[nn.Parameter]
) -> None:
    """Make the chosen parts trainable, and freeze the rest.

    Parameters that no clip passes through stay frozen. LoRA is added to its own parts.
    """
    of_part = parameters_by_part(parts)
    hf.requires_grad_(False)
    if lora is not None:
        add_lora(hf, parts, lora, unused)
    for part in train:
        for parameter in of_part[part]:
            parameter.requires_grad_(parameter not in unused)


def merge_lora(hf: Any) -> None:
    """Merge LoRA into the weights in place; nothing of it is left beside them."""
    for name, module in list(hf.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(hf.get_submodule(parent), leaf, module.get_base_layer())
    del hf.peft_config


def save_adapter(hf: Any, parts: ModelParts, train: tuple[ModelPart, ...], folder: Path) -> None:
    """Write LoRA as an adapter that peft puts on the base model, in a folder that is there.

    Modules of parts that are trained in full go into it whole, as peft's `modules_to_save`.

    Raises:
        InputError: a parameter that is trained in full belongs to no module of its own.
    """
    names = {module: name for name, module in hf.named_modules()}
    roots = [module for part in train for module in parts[part]]
    for module in roots:
        if module not in names:
            shapes = ", ".join(str(list(parameter.shape)) for parameter in module.parameters())
            raise InputError(
                f"a trained parameter of shape {shapes} belongs to no module that peft could replace: export the whole "
                "model, `--form whole`"
            )
    inner = {module for root in roots for module in root.modules() if module is not root}
    whole = sorted(names[module] for module in roots if module not in inner)
    config = copy.deepcopy(hf.peft_config[ADAPTER])
    config.base_model_name_or_path, config.inference_mode = hf.name_or_path, True
    config.modules_to_save = whole or None
    weights = get_peft_model_state_dict(hf, adapter_name=ADAPTER, save_embedding_layers=False)
    weights |= {f"{name}.{key}": value for name in whole for key, value in hf.get_submodule(name).state_dict().items()}
    save_file({f"{OF_PEFT}{name}": value.clone() for name, value in weights.items()}, folder / ADAPTER_FILE)
    config.save_pretrained(str(folder))


def merge_adapter(hf: Any, folder: Path) -> None:
    """Merge an adapter that `save_adapter` wrote into its base model, in place.

    Raises:
        MissingFileError: the folder has no adapter.
        InputError: it is damaged, or of another model.
    """
    for name in (ADAPTER_CONFIG, ADAPTER_FILE):
        if not (folder / name).is_file():
            raise MissingFileError(f"{folder / name} is missing: export the run again, or copy its whole folder")
    try:
        config = LoraConfig.from_pretrained(str(folder))
        whole_modules, config.modules_to_save = config.modules_to_save or [], None  # these replace the base model's
        weights = {key.removeprefix(OF_PEFT): value for key, value in load_file(folder / ADAPTER_FILE).items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "fan_in_fan_out is set to")
            inject_adapter_in_model(config, hf, ADAPTER)
        added = {key: value for key, value in weights.items() if "lora_" in key}
        whole = {key: value for key, value in weights.items() if key not in added}
        set_peft_model_state_dict(hf, added, adapter_name=ADAPTER)
        expected = {*get_peft_model_state_dict(hf, adapter_name=ADAPTER, save_embedding_layers=False)}
        expected |= {f"{name}.{key}" for name in whole_modules for key in hf.get_submodule(name).state_dict()}
        hf.load_state_dict(whole, strict=False)
    except (ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder} holds no adapter of {hf.name_or_path}: {str(error).splitlines()[0]}") from error
    if differing := sorted(expected ^ weights.keys()):
        lacks = "the model has no" if differing[0] in weights else "it lacks"
        raise InputError(f"{folder} holds no adapter of {hf.name_or_path}: {lacks} {first_of(differing)}")
    merge_lora(hf)
