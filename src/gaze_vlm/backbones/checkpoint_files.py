"""What lies in a checkpoint's folder, looked at before the library reads it: each thing that is wrong in one line."""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from gaze_vlm.errors import InputError, MissingFileError, first_of
from gaze_vlm.json_files import damage_refused, parse_object, read_json

OF_THE_KITCHEN = "for the kitchen kitchen-llava ships, and `gaze-vlm backbone` makes others"
WHOLE = "copy or download the whole checkpoint"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
POINTER = b"version https://git-lfs"
POINTER_BYTES = 1024  # the specification's bound
ADAPTER = "adapter_config.json"
BY_PEFT = "by peft's `merge_and_unload`, and name what `save_pretrained` writes"


def check_files(folder: Path) -> None:
    """Refuse a folder that the library could not load, or would load as something else.

    Raises:
        MissingFileError: it has no config.json.
        InputError: a file is a pointer of Git LFS, or there is an adapter.
    """
    if (pointer := next(_pointers(folder), None)) is not None:
        raise InputError(f"{pointer} is a pointer of Git LFS, not the file itself: run `git lfs pull` in {folder}")
    config = folder / "config.json"
    if not config.is_file():
        raise MissingFileError(f"no model in {folder}: {_instead_of_config(folder)}")
    parse_object(config.read_bytes(), config, WHOLE)
    if (folder / ADAPTER).is_file():
        raise InputError(
            f"{folder} holds an adapter beside its model, which would be added to it: remove {ADAPTER} if the weights "
            f"are merged; else merge them {BY_PEFT}"
        )


def check_not_quantized(config: Any, checkpoint: str) -> None:
    """Refuse weights that are quantized already.

    Raises:
        InputError: they are.
    """
    if quantization := getattr(config, "quantization_config", None):
        method = quantization.get("quant_method") if isinstance(quantization, Mapping) else None
        raise InputError(
            f"{checkpoint} holds quantized weights ({method or 'of an unknown method'}): name the checkpoint that they "
            "were made from; `quantization: 4bit` holds that one in 4 bits"
        )


def check_weights(folder: Path) -> None:
    """Refuse a folder without its weights, or without some of their files.

    Raises:
        MissingFileError: naming what is missing.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return
        if (index := folder / f"{name}.index.json").is_file():
            with damage_refused(index, WHOLE):
                files = sorted(set(read_json(index, WHOLE)["weight_map"].values()))
                missing = [file for file in files if not (folder / file).is_file()]
            if missing:
                raise MissingFileError(
                    f"{folder} lacks {len(missing)} of its {len(files)} files of weights ({first_of(missing)}): {WHOLE}"
                )
            return
    raise MissingFileError(f"{folder} has a config.json and no weights ({' or '.join(WEIGHTS)}): {WHOLE}")


def check_read(checkpoint: str, info: Mapping[str, Set[Any]]) -> None:
    """Refuse a model of which some weights are not the checkpoint's.

    The library draws them at random, with a table in the log.

    Args:
        checkpoint: its name.
        info: what `from_pretrained` gives as `output_loading_info`.

    Raises:
        InputError: naming the first of them.
    """
    if missing := sorted(info["missing_keys"]):
        found = sorted(info["unexpected_keys"])
        if missing == ["lm_head.weight"]:
            raise InputError(
                f"{checkpoint} lacks lm_head.weight, which would be random: set tie_word_embeddings to true at the top "
                "of config.json, if it is the embeddings' own; else take the whole checkpoint"
            )
        others = f" It has others that the model does not know: {first_of(found)}." if found else ""
        raise InputError(
            f"{checkpoint} lacks {len(missing)} weights of its model, which would be random: {first_of(missing)}."
            f"{others} {WHOLE.capitalize()}, in the form of `transformers` (-hf)"
        )
    if mismatched := sorted(info["mismatched_keys"]):
        name, own, expected = mismatched[0]
        raise InputError(
            f"{checkpoint}: {len(mismatched)} weights have another shape than config.json says, such as {name}: "
            f"{tuple(own)}, and the model has {tuple(expected)}. Take config.json and weights of one checkpoint"
        )


def _pointers(folder: Path) -> Iterator[Path]:
    """Files that are read, and are pointers."""
    read = [*folder.glob("*.json"), *folder.glob("*.jinja"), *folder.glob("*.safetensors")]
    read += [] if any(folder.glob("*.safetensors")) else [*folder.glob("*.bin")]
    for file in sorted(read):
        if file.is_file() and file.stat().st_size < POINTER_BYTES:
            with file.open("rb") as opened:
                if opened.read(len(POINTER)) == POINTER:
                    yield file


def _instead_of_config(folder: Path) -> str:
    """What a folder without a config.json is, where one can tell."""
    if (adapter := folder / ADAPTER).is_file():
        base = parse_object(adapter.read_bytes(), adapter, WHOLE).get("base_model_name_or_path")
        return f"it is an adapter of {base or 'a model that it does not name'}: merge it into that one {BY_PEFT}"
    if any(folder.glob("*.gguf")):
        return "it holds weights of llama.cpp (GGUF): name the checkpoint of `transformers` that they were made from"
    if snapshots := sorted(folder.glob("snapshots/*/config.json")):
        return f"it is a hub's cache: name the folder {snapshots[-1].parent}"
    return f"it has no config.json; {OF_THE_KITCHEN}"
