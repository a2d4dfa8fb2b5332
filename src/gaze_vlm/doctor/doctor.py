"""What a training would be, and what would fail, before any weight is loaded or fetched."""

from dataclasses import dataclass, field

from gaze_vlm.attention.sources import choose_layers
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.parts import count_numbers
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.doctor.amounts import amounts_in_words, kept_in_words
from gaze_vlm.doctor.memory import GB, estimate
from gaze_vlm.errors import InputError, UserError, shortened
from gaze_vlm.foreign_text import visible
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.training.checks import Problem, Training, problems
from gaze_vlm.training.checks.model import longest_text
from gaze_vlm.training.configured import configure

DESCRIPTION = "show what a training would be and what would fail; without options, check the installation"
EXAMPLE_ANSWER = "cut the red onion with the knife on the board"


@dataclass
class Diagnosis:
    """What a training would be.

    `parameters` are (total, trainable) by part; `memory` is in bytes, by what takes it. Both are empty where the model
    cannot be built, and `facts` are then those of the configuration alone.
    """

    facts: dict[str, str]
    problems: list[Problem]
    parameters: dict[str, tuple[int, int]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    def page(self) -> str:
        """Readable lines."""
        lines = [f"{name:24} {fact}" for name, fact in self.facts.items()]
        if self.parameters:
            lines += ["", f"{'parameters':24} {'total':>16} {'trainable':>16}"]
            lines += [
                f"  {name:22} {total:16,} {trainable:16,}" for name, (total, trainable) in self.parameters.items()
            ]
            lines += [
                "",
                "memory of a GPU, estimated (formulas: gaze_vlm/doctor/memory.py; some GB of CUDA's own come on top)",
            ]
            lines += [f"  {name:38} {size / GB:9.2f} GB" for name, size in self.memory.items()]
        lines.append("")
        if not any(problem.fatal for problem in self.problems):
            lines.append("nothing would fail")
        lines += [f"{'!' if problem.fatal else '?'} {problem.text}" for problem in self.problems]
        return "\n".join(lines)


def doctor(args: list[str]) -> Diagnosis:
    """Print what a training would be, its memory, and what would fail.

    Args:
        args: the options that `lightning fit` would be given.

    Raises:
        InputError: something would fail; the page names it.
    """
    cli = configure(args, "gaze-vlm doctor", DESCRIPTION)
    diagnosis = diagnose(cli.training)
    print(visible(diagnosis.page()), flush=True)
    if any(problem.fatal for problem in diagnosis.problems):
        raise InputError("this training would fail: the page has a line that begins with ! for each reason")
    return diagnosis


def diagnose(training: Training) -> Diagnosis:
    """Run the checks, and describe the training without weights.

    Where the model cannot be built, the configuration alone is described.
    """
    module, data, precision = training.module, training.data, training.precision
    backbone = module.backbone
    found, built = problems(training)
    facts = configured_facts(training)
    if training.steps_of_epoch:
        facts |= {**amounts_in_words(training), "gaze": f"valid in {training.valid_share:.0%} of the training frames"}
    if not built:
        return Diagnosis(facts, found)
    frames, known = frames_per_clip(data)
    try:
        question, prompt, text, answer = longest_sample(backbone, data, frames)
    except UserError as error:  # a question that the chat template does not take
        return Diagnosis(facts, found or [Problem(str(error))])
    facts |= {
        **model_facts(backbone, frames, known),
        **kept_in_words(training, frames),
        "sequence": f"{prompt} tokens of the prompt {question!r} and {answer} of an answer such as {text!r}",
    }
    memory = estimate(module, data.batch_size, precision, frames, prompt + answer, answer)
    return Diagnosis(facts, found, count_by_part(backbone), memory)


def configured_facts(training: Training) -> dict[str, str]:
    """Describe the configuration without the model."""
    backbone, data = training.module.backbone, training.data
    return {
        "backbone": f"{type(backbone).__name__}, {backbone.options.checkpoint}",
        "train": ", ".join(backbone.options.train) or "no part in full",
        "lora": "none" if backbone.options.lora is None else str(backbone.options.lora),
        "batch": f"{data.batch_size} samples a GPU, {training.precision}, weights of {backbone.options.dtype}"
        + (", the frozen language model of 4 bits" if backbone.options.quantization else ""),
        "store": str(data.store_path),
    }


def model_facts(backbone: Backbone, frames: int, known: str) -> dict[str, str]:
    """Describe the model for clips of so many frames; `known` says from where."""
    layout, (height_px, width_px) = backbone.layout, backbone.frame_size_px
    group = "frame" if layout.frames_per_group == 1 else f"group of {layout.frames_per_group} frames"
    visual = frames // layout.frames_per_group * backbone.tokens_per_frame + backbone.tokens_after_clip
    return {
        "frame": f"{height_px} × {width_px} px (height × width)",
        "vision grid": f"{layout.vit} = {len(layout.vit)} patches",
        "language grid": f"{layout.language} = {len(layout.language)} visual tokens",
        "visual tokens": f"{backbone.tokens_per_frame} a {group}, {visual} a clip of {frames} frames ({known})",
        "attention": source_in_words(backbone),
    }


def frames_per_clip(data: ClipDataModule) -> tuple[int, str]:
    """Return the frames of a clip, and where the number is from.

    Without a store it is the preparation's default.
    """
    if not StoreFiles(data.store_path).manifest.is_file():
        parameters = PreparationParameters()
        return round(parameters.observation_s * parameters.frame_hz), "the preparation's default: there is no store yet"
    data.setup("test")
    return data.store.clips[0].frames, f"as in {data.store_path}"


def longest_sample(backbone: Backbone, data: ClipDataModule, frames: int) -> tuple[str, int, str, int]:
    """Return the longest question, its tokens with a clip's, and the longest answer, cut to a line, with its tokens.

    Without a store the answer is an example.
    """
    text = longest_text(data) or EXAMPLE_ANSWER
    collator, times_s = backbone.collator(), [float(second) for second in range(1, frames + 1)]
    tokens = {data.prompts[task]: collator.tokenize(data.prompts[task], text, times_s) for task in data.tasks}
    question, (prompt, answer) = max(tokens.items(), key=lambda one: len(one[1][0]))
    return question, len(prompt), shortened(text, 80), len(answer)


def count_by_part(backbone: Backbone) -> dict[str, tuple[int, int]]:
    """Count each part's parameters, in total and trainable, LoRA's included."""
    parts, trainable = backbone.parameters_by_part(), backbone.trainable_parameters()
    counts = {name: (count_numbers(parameters), count_numbers(trainable[name])) for name, parameters in parts.items()}
    everything = count_numbers(backbone.parameters()), sum(count_numbers(of_part) for of_part in trainable.values())
    return {**counts, "all": everything}  # some models have a parameter that no clip meets, and no part


def source_in_words(backbone: Backbone) -> str:
    """Describe where the attention that is handed over comes from."""
    of_heads = f", heads {', '.join(map(str, backbone.options.heads))}" if backbone.options.heads else ""
    for name, layers, modules in (
        ("vision", backbone.options.vit_layers, backbone.vit_attention_modules()),
        ("language", backbone.options.language_layers, backbone.language_attention_modules()),
    ):
        if layers:
            chosen = ", ".join(map(str, choose_layers(modules, layers, f"{name} layers")))
            return f"{name} layers {chosen} of {min(modules)} to {max(modules)}{of_heads}, on {backbone.grid}"
    if backbone.block is None:
        return "none"
    return f"the gaze block ({backbone.block.output}), its last layer{of_heads}, on {backbone.grid}"
