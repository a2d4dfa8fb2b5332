"""Checkpoints: read with their weights, with some of them in 4 bits, or with none; and written."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from huggingface_hub import constants
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoProcessor, BitsAndBytesConfig

from gaze_vlm.backbones.checkpoint_files import (
    OF_THE_KITCHEN,
    WHOLE,
    check_files,
    check_not_quantized,
    check_read,
    check_weights,
)
from gaze_vlm.backbones.parts import ModelPart, ModelParts
from gaze_vlm.cores import has_gpu
from gaze_vlm.errors import InputError, MissingFileError, shortened
from gaze_vlm.output import writing
from gaze_vlm.shipped.checkpoints import locate_checkpoint
from gaze_vlm.suggestions import nearest_path

Dtype = Literal["float32", "bfloat16"]
Quantization = Literal["4bit"]
OWN_CODE: dict[str, Any] = {"trust_remote_code": False}  # a checkpoint brings none, and nobody is asked
READ: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # `check_read` refuses them


def chosen_device(device: str | None = None) -> str:
    """Return a device by its name, or a GPU where there is one.

    Raises:
        InputError: torch does not have it here.
    """
    if device is None:
        return "cuda" if has_gpu() else "cpu"
    try:
        if torch.empty(0, device=device).is_meta:
            raise RuntimeError("a model there has no weights")
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device is {device}, which torch does not have here ({str(error).splitlines()[0]}): name cpu, or cuda"
        ) from error
    return device


def config_of(checkpoint: str) -> Any:
    """Return the checkpoint's config.

    Raises:
        MissingFileError: see `load_checkpoint`.
        InputError: see `load_checkpoint`, one that needs code of its own, or whose weights are quantized.
    """
    config = reached(checkpoint, partial(AutoConfig.from_pretrained, **OWN_CODE))
    check_not_quantized(config, checkpoint)
    return config


def model_type_of(checkpoint: str) -> str:
    """Return the checkpoint's `model_type`; raises as `config_of`."""
    return str(config_of(checkpoint).model_type)


def check_model_type(checkpoint: str, backbone: str, expected: tuple[str, ...]) -> Any:
    """Return the checkpoint's config, and refuse one of another family.

    The library would load it with random weights and a warning.

    Raises:
        MissingFileError: see `load_checkpoint`.
        InputError: another family, or one that needs code of its own.
    """
    config = config_of(checkpoint)
    if config.model_type not in expected:
        raise InputError(
            f"{checkpoint} is a {config.model_type} checkpoint, {backbone} takes {' or '.join(expected)}: "
            "choose its own class_path (docs/backbones.md)"
        )
    return config


def load_checkpoint(
    model_class: Any,
    checkpoint: str,
    dtype: Dtype,
    attention: dict[str, str | None],
    weights: bool = True,
    quantized: BitsAndBytesConfig | None = None,
) -> tuple[Any, Any]:
    """Load a native `transformers` model and its processor.

    Args:
        model_class: the model's, or an Auto class.
        checkpoint: folder, hub name, or name of a shipped checkpoint.
        dtype: of the weights.
        attention: the attention function of each tower, by the name of its config; None leaves it its own.
        weights: read them; without, the model lies on the meta device and takes no memory.
        quantized: which weights are held in fewer bits.

    Raises:
        MissingFileError: the checkpoint is a path without a model, or a name that no reachable hub has.
        InputError: its files are damaged, or lack weights of the model.
    """
    processor = reached(checkpoint, partial(AutoProcessor.from_pretrained, **OWN_CODE))
    if not getattr(processor, "chat_template", None):  # older checkpoints have it in the tokenizer alone
        processor.chat_template = getattr(getattr(processor, "tokenizer", None), "chat_template", None)
    if not weights:
        config = config_of(checkpoint)
        build: Callable[..., Any] = getattr(model_class, "from_config", None) or model_class._from_config
        with torch.device("meta"):
            return build(config, dtype=getattr(torch, dtype), attn_implementation=attention), processor
    more = {} if quantized is None else {"quantization_config": quantized}
    load = partial(model_class.from_pretrained, dtype=dtype, attn_implementation=attention, **READ, **more)
    model, info = reached(checkpoint, load)
    check_read(checkpoint, info)
    return model, processor


def save_checkpoint(model: Any, processor: Any, folder: Path) -> None:
    """Write an ordinary checkpoint: safetensors, config and processor."""
    with writing(folder):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


def reached(checkpoint: str, load: Callable[[str], Any]) -> Any:
    """Return what the library loads of a checkpoint.

    Args:
        checkpoint: folder, hub name, or name of a shipped checkpoint.
        load: takes where it is.

    Raises:
        MissingFileError: it is not there, or lacks a file.
        InputError: a file is damaged.
    """
    place = locate_checkpoint(checkpoint)
    is_hub_name = place.count("/") == 1 and not place.startswith((".", "/"))
    if Path(place).exists():
        check_files(Path(place))
    elif not is_hub_name:
        raise MissingFileError(f"no model in {place}: no such folder; {OF_THE_KITCHEN}{nearest_path(Path(place))}")
    try:
        return load(place)
    except OSError as error:
        if Path(place).exists():
            check_weights(Path(place))
            raise MissingFileError(
                f"{place} lacks a file, or has a damaged one ({shortened(str(error), 200)}): {WHOLE}"
            ) from error
        raise MissingFileError(f"no model in {place}: {how_to_fetch(place, error)}; {OF_THE_KITCHEN}") from error
    except (ValueError, StrictDataclassError) as error:
        if any(words in str(error) for words in ("trust_remote_code", "model type", "model_type")):
            raise InputError(
                f"{place}: its config.json is of no model that transformers has; code of a checkpoint is never run: "
                "name a checkpoint of a family in docs/backbones.md"
            ) from error
        said = shortened(str(error), 200)
        raise InputError(f"{place} has a file that transformers cannot read ({said}): {WHOLE}") from error
    except (SafetensorError, UnpicklingError, EOFError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "PytorchStreamReader" not in str(error):
            raise  # of the machine, as where memory is short
        raise InputError(
            f"{place}: its weights are damaged ({error}): copy or download the checkpoint again"
        ) from error


def how_to_fetch(name: str, error: OSError) -> str:
    """Say what to do about a checkpoint that is no folder and that no hub gave."""
    if "gated" in str(error):
        return "the hub asks for a licence: accept it there, and log in with `hf auth login`"
    offline = " while HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
    return (
        f"no such folder, and no hub checkpoint of this name can be reached{offline}. Where there is network, `hf "
        f"download {name}` fetches it into the cache {constants.HF_HUB_CACHE} (HF_HUB_CACHE names another); "
        "HF_HUB_OFFLINE=1 then reads it from there without network"
    )


def four_bit_config(hf: Any, parts: ModelParts, train: tuple[ModelPart, ...]) -> BitsAndBytesConfig:
    """Configure a frozen language model whose linear layers have 4 bits a weight.

    They are NF4 (Dettmers et al. 2023, arXiv 2305.14314, §3), computed in bfloat16. The vision tower and the
    projector, some hundred million parameters, stay as they are, and so does the attention that is captured in the
    tower.

    Args:
        hf: the model, be it on the meta device: its modules' names are read.
        parts: its parts.
        train: parts that are trained in full.
    """
    check_four_bits(train)
    spared = {module for part, roots in parts.items() if part != "language" for module in roots}
    names = [name for name, module in hf.named_modules() if module in spared or module is hf.get_output_embeddings()]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=names,  # of 4 bits too, in spite of its name
    )


def check_four_bits(train: tuple[ModelPart, ...]) -> None:
    """Refuse weights of 4 bits where they cannot be.

    Raises:
        InputError: the language model is trained in full, `bitsandbytes` is not installed, or there is no GPU.
    """
    if "language" in train:
        raise InputError("weights of 4 bits cannot be trained: take language out of train, and give it a lora")
    if find_spec("bitsandbytes") is None:
        raise InputError("quantization 4bit needs bitsandbytes: pip install 'gaze-vlm-lightning[qlora]'")
    if not torch.cuda.is_available():
        raise InputError("quantization 4bit needs an NVIDIA GPU, and torch finds none: set quantization to null")


def checkpoint_activations(hf: Any) -> None:
    """Run each layer again in the backward pass instead of keeping what it computed.

    Chen et al. 2016, arXiv 1604.06174.

    Never re-entrant: that would silently cut the gradient of the captured attention.
    """
    # Its name since transformers 5.2x, where the other is deprecated.
    enable = getattr(hf, "activation_checkpointing_enable", None) or hf.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    # The library makes all embeddings need a gradient, which re-entrant checkpointing wants and which would send the
    # backward pass through a frozen vision tower.
    hf.disable_input_require_grads()
