"""`gaze-vlm doctor`: what a training would be, and what would fail, before any weight is loaded or fetched."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from torch import nn

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.loading import check_four_bits
from gaze_vlm.backbones.source import layers_of
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.memory import (
    GB,
    Tower,
    activation_bytes,
    cast_bytes,
    gradient_bytes,
    logit_bytes,
    states_per_number,
    weight_bytes,
    width_of,
)
from gaze_vlm.module import GazeVLM
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.training import plan

EXAMPLE_ANSWER = "cut the red onion with the knife on the board"


@dataclass
class Diagnosis:
    """What a training would be.

    `parameters` are (total, learning) by part; `memory` is in bytes, by what takes it, `with_checkpointing` and
    `without_checkpointing` beside each other for the activations.
    """

    facts: dict[str, str]
    parameters: dict[str, tuple[int, int]]
    memory: dict[str, float]
    problems: list[str] = field(default_factory=list)

    def page(self) -> str:
        """Readable lines."""
        lines = [f"{name:24} {fact}" for name, fact in self.facts.items()]
        lines += ["", f"{'parameters':24} {'total':>16} {'learning':>16}"]
        lines += [f"  {name:22} {total:16,} {learning:16,}" for name, (total, learning) in self.parameters.items()]
        lines += [
            "",
            "memory of a GPU, estimated (gaze_vlm/memory.py has the formulas; some GB of CUDA's own beside it)",
        ]
        lines += [f"  {name:38} {size / GB:9.2f} GB" for name, size in self.memory.items()]
        lines += ["", *(f"! {problem}" for problem in self.problems)] if self.problems else ["", "nothing would fail"]
        return "\n".join(lines)


def doctor(args: list[str]) -> Diagnosis:
    """Print what a training would be: grids, tokens, what learns, an estimate of its memory, and what would fail.

    Args:
        args: the options that `lightning fit` would be given.

    Raises:
        FileNotFoundError: the checkpoint's configuration is not to be had.
        ValueError: the model cannot be built so.
    """
    cli = plan(args, "gaze-vlm doctor")
    diagnosis = diagnose(cli.model, cli.datamodule, cli.precision)
    print(diagnosis.page())
    return diagnosis


def diagnose(module: GazeVLM, data: ClipDataModule, precision: str) -> Diagnosis:
    """Build the model without weights and look at it."""
    backbone = module.backbone
    backbone.load(weights=False)
    frames, known = frames_per_clip(data)
    prompts = {task: data.prompts[task] for task in data.tasks}
    times_s = [float(second) for second in range(1, frames + 1)]
    tokens = [backbone.collator().tokenize(prompt, EXAMPLE_ANSWER, times_s) for prompt in prompts.values()]
    prompt, answer = max(tokens, key=lambda both: len(both[0]))
    visual = frames // backbone.layout.frames_per_step * backbone.tokens_per_frame + backbone.tokens_after_clip
    parameters = count_parameters(backbone)
    height_px, width_px = backbone.frame_size_px
    step = "frame" if backbone.layout.frames_per_step == 1 else f"step of {backbone.layout.frames_per_step} frames"
    facts = {
        "backbone": f"{type(backbone).__name__}, {backbone.checkpoint}",
        "frame": f"{height_px} × {width_px} px (height × width)",
        "vision grid": f"{backbone.layout.vit} = {len(backbone.layout.vit)} patches",
        "language grid": f"{backbone.layout.language} = {len(backbone.layout.language)} visual tokens",
        "visual tokens": f"{backbone.tokens_per_frame} a {step}, {visual} a clip of {frames} frames ({known})",
        "sequence": f"{len(prompt)} tokens of the prompt {max(prompts.values(), key=len)!r} and {len(answer)} of an "
        f"answer such as {EXAMPLE_ANSWER!r}",
        "attention": source_in_words(backbone),
        "batch": f"{data.batch_size} samples a GPU, {precision}, weights of {backbone.dtype}"
        + (", the frozen language model of 4 bits" if backbone.quantization else ""),
        "lora": "none" if backbone.lora is None else str(backbone.lora),
    }
    memory = estimate(module, data.batch_size, precision, frames, len(prompt) + len(answer), len(answer))
    return Diagnosis(facts, parameters, memory, list(problems(module, data)))


def frames_per_clip(data: ClipDataModule) -> tuple[int, str]:
    """Frames of a clip of the store, or of a store with the preparation's defaults where there is none yet."""
    manifest = data.store_path / "manifest.json"
    if not manifest.is_file():
        parameters = PreparationParameters()
        return round(parameters.observation_s * parameters.frame_hz), "the preparation's default: there is no store yet"
    data.setup("test")
    return data.store.clips[0].frames, f"as in {data.store_path}"


def count_parameters(backbone: Backbone) -> dict[str, tuple[int, int]]:
    """Numbers of each part, in total and those that learn; LoRA's are among its part's."""
    parts, learning = backbone.parameters_by_part(), backbone.learning_parameters()
    counts = {name: (numbers(parameters), numbers(learning[name])) for name, parameters in parts.items()}
    everything = numbers(backbone.parameters()), sum(numbers(of_part) for of_part in learning.values())
    return {**counts, "all": everything}  # some models have a parameter that no clip meets, and no part


def numbers(parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers some parameters hold."""
    return sum(parameter.numel() for parameter in parameters)


def source_in_words(backbone: Backbone) -> str:
    """Where the attention that is handed over comes from."""
    of_heads = f", heads {', '.join(map(str, backbone.heads))}" if backbone.heads else ""
    for name, layers, modules in (
        ("vision", backbone.vit_layers, backbone.vit_attention_modules()),
        ("language", backbone.language_layers, backbone.language_attention_modules()),
    ):
        if layers:
            chosen = ", ".join(map(str, layers_of(modules, layers, f"{name} layers")))
            return f"{name} layers {chosen} of {min(modules)} to {max(modules)}{of_heads}, on {backbone.grid}"
    if backbone.block is None:
        return "none"
    return f"the gaze block ({backbone.block.output}), its last layer{of_heads}, on {backbone.grid}"


def estimate(
    module: GazeVLM, batch_size: int, precision: str, frames: int, sequence: int, answer: int
) -> dict[str, float]:
    """Bytes by what takes them; see memory.py for the formulas."""
    backbone = module.backbone
    learning_of = backbone.learning_parameters()
    learning = [parameter for parameters in learning_of.values() for parameter in parameters]
    language, config = backbone.parts()["language"][0], backbone.hf.config
    linear = [module for module in language.modules() if isinstance(module, nn.Linear)]
    quantized = {m.weight for m in linear if not m.weight.requires_grad} if backbone.quantization else set()
    autocast = "mixed" in precision
    half = "16" in precision or backbone.dtype == "bfloat16"
    vision, text = (getattr(config, half) for half in backbone.halves)
    depth = max(backbone.language_attention_modules()) + 1
    towers = [Tower(depth, width_of(text), batch_size * sequence)]
    if learning_of["vision"]:
        depth = max(backbone.vit_attention_modules()) + 1
        patches = frames // backbone.layout.frames_per_step * len(backbone.layout.vit)
        towers.append(Tower(depth, width_of(vision), batch_size * patches))
    kept, checkpointed = (activation_bytes(towers, 2 if half else 4, checkpointing) for checkpointing in (False, True))
    rest = {
        "weights": weight_bytes(backbone.parameters(), quantized),
        "gradients": gradient_bytes(learning),
        "optimiser states": states_per_number(module.make_optimizer) * gradient_bytes(learning),
        "weights cast to 16 bits": cast_bytes(learning, autocast),
        "logits": logit_bytes(batch_size * answer, text.vocab_size),
    }
    used = checkpointed if backbone.gradient_checkpointing else kept
    return {
        **rest,
        "activations without checkpointing": kept,
        "activations with checkpointing": checkpointed,
        f"in all, {'with' if backbone.gradient_checkpointing else 'without'} checkpointing": sum(rest.values()) + used,
    }


def problems(module: GazeVLM, data: ClipDataModule) -> Iterable[str]:
    """What would fail or be wasted, where building the model does not tell."""
    backbone, learning = module.backbone, module.backbone.learning_parameters()
    if not any(learning.values()):
        yield "nothing learns: name a part in `train` or `lora`, or give the backbone a `block`"
    pulls = module.regularizer is not None and module.regularizer.pulls
    if pulls and backbone.vit_layers and not learning["vision"]:
        yield (
            "the divergence has no gradient: vit_layers look into a frozen vision tower; put vision into `train` or "
            "into lora.parts, or regularize a `block`"
        )
    checks: list[Callable[[], object]] = [module.parameter_groups]
    if backbone.quantization is not None:
        checks.append(partial(check_four_bits, backbone.train_parts))
    for check in checks:
        try:
            check()
        except ValueError as error:
            yield str(error)
    if not (data.store_path / "manifest.json").is_file():
        yield f"{data.store_path} is no store: run `gaze-vlm prepare` before the training"
