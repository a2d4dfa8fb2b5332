"""What a training would be, without any weights."""

import resource
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from backbone_families import FAMILIES, make_backbone
from gaze_vlm.cli import main
from gaze_vlm.doctor.doctor import count_by_part, diagnose, doctor
from gaze_vlm.doctor.memory import LayerStack, activation_bytes, cast_bytes, states_per_number, weight_bytes
from gaze_vlm.training.configured import configure
from qwen_sizes import save_qwen
from training_files import ARMS, arguments

MODEL = "--model.backbone.init_args"


@pytest.mark.parametrize(
    ("named", "options"),
    [
        (torch.optim.AdamW, {}),
        (torch.optim.Adam, {"amsgrad": True}),
        (torch.optim.SGD, {"lr": 1}),
        (torch.optim.SGD, {"lr": 1, "momentum": 0.9}),
        (torch.optim.Adagrad, {}),
        (torch.optim.RMSprop, {"centered": True, "momentum": 0.9}),
        (torch.optim.ASGD, {}),
        (torch.optim.Adadelta, {}),
        (torch.optim.NAdam, {}),
    ],
)
def test_states_of_an_optimiser_are_those_that_it_makes(named: type, options: dict) -> None:
    tried = nn.Parameter(torch.ones(64, 64))
    tried.grad = torch.ones(64, 64)
    optimizer = named([tried], **options)
    optimizer.step()
    kept = sum(value.numel() for value in optimizer.state[tried].values() if isinstance(value, torch.Tensor))
    assert states_per_number(partial(named, **options)) == kept // tried.numel()
    if not options:
        assert states_per_number(named) == kept // tried.numel()


def test_memory_by_hand() -> None:
    full, half = nn.Parameter(torch.ones(1000)), nn.Parameter(torch.ones(1000, dtype=torch.bfloat16))
    assert weight_bytes([full, half]) == 6000
    assert weight_bytes([full, half], {half}) == pytest.approx(4000 + 1000 * 4.127 / 8)
    assert cast_bytes([full, half], autocast=True) == 2000
    assert cast_bytes([full, half], autocast=False) == 0
    stacks = [LayerStack(layers=96, width=12288, tokens=2048, kept=24)]
    assert activation_bytes(stacks, 2, checkpointing=False) == 96 * 48 * 2048 * 12288
    assert activation_bytes(stacks, 2, checkpointing=True) == (96 * 2 + 48) * 2048 * 12288


def test_the_page(tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    options = [
        *arguments(tmp_path, tiny_llava, prepared),
        "--trainer.accelerator=gpu",  # which need not be here
        f"{MODEL}.block.init_args.output=modulate",
    ]
    assert main(["doctor", *options]) == 0
    page = capsys.readouterr().out
    for line in (
        f"Llava, {tiny_llava}",
        "48 × 48 px",
        "4×4 = 16 patches",
        "16 a frame, 64 a clip of 4 frames",
        "the gaze block (modulate), its last layer, on 4×4",
        "2 samples a GPU",
        "nothing would fail",
    ):
        assert line in page
    assert not (tmp_path / "config.yaml").exists()


def test_the_sequence_is_the_collators(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    sequence = doctor(arguments(tmp_path, tiny_llava, prepared)).facts["sequence"]
    longest = "What will the camera wearer do next?"
    prompt, _ = make_backbone(FAMILIES[0], tiny_llava, "both").collator().tokenize(longest, "cut", [1, 2, 3, 4])
    assert sequence.startswith(f"{len(prompt)} tokens of the prompt {longest!r}")


def test_a_run_in_one_file_is_taken_as_by_fit(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    composed = tmp_path / "run.yaml"
    composed.write_text(f"configs: [{ARMS / 'baseline.yaml'}]\ndata: {{batch_size: 3}}\n")
    diagnosis = doctor([*arguments(tmp_path, tiny_llava, prepared), f"--config={composed}"])
    assert diagnosis.facts["attention"] == "none"
    assert diagnosis.facts["batch"].startswith("3 samples")


def bad(message: str, *options: str) -> object:
    return pytest.param(list(options), message, id=message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        bad("look into a frozen vision tower", f"{MODEL}.vit_layers=[0]"),
        bad("learning_rates names vision, of which nothing is trainable", "--model.learning_rates={vision: 1e-5}"),
        bad("nothing is trainable", f"{MODEL}.train=[]", f"{MODEL}.block=null", "--model.regularizer=null"),
        bad("is no store: run `gaze-vlm prepare`", "--data.store=./nowhere"),
        bad("take language out of train", f"{MODEL}.quantization=4bit"),
    ],
)
def test_what_would_fail_is_printed(
    options: list[str], message: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["doctor", *arguments(tmp_path, tiny_llava, prepared), *options]) == 1
    printed = capsys.readouterr()
    (problem,) = [line for line in printed.out.splitlines() if line.startswith("! ")]
    assert message in problem
    assert "in all, without checkpointing" in printed.out
    assert printed.err.strip().splitlines()[-1].startswith("gaze-vlm doctor: error: this training would fail")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        bad("no hub checkpoint of this name can be reached", f"{MODEL}.checkpoint=no/where"),
        bad("`hf download no/where` fetches it into the cache /", f"{MODEL}.checkpoint=no/where"),
        bad("HF_HUB_OFFLINE=1 then reads it", f"{MODEL}.checkpoint=no/where"),
        bad("no such folder", f"{MODEL}.checkpoint=./nowhere"),
        bad("is a llava checkpoint, InternVL takes internvl", "--model.backbone=gaze_vlm.backbones.InternVL"),
        bad("takes 48×48 alone", f"{MODEL}.frame_size_px=[48,64]"),
        bad("vit_layers 7: the model's layers to choose from", f"{MODEL}.vit_layers=[7]"),
        bad("matches no linear layer", f"{MODEL}.train=[]", f"{MODEL}.lora={{targets: query}}"),
    ],
)
def test_what_cannot_be_built_is_printed_beside_what_is_known(
    options: list[str], message: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments_without_store = [*arguments(tmp_path, tiny_llava, prepared), "--data.store=./nostore"]
    assert main(["doctor", *arguments_without_store, *options]) == 1
    page = capsys.readouterr().out
    first, second = (line for line in page.splitlines() if line.startswith("! "))
    assert message in first
    assert "nostore is no store" in second
    assert "2 samples a GPU, 32-true" in page
    assert "memory of a GPU" not in page


def test_seven_billion_parameters_are_counted_and_none_is_made(prepared: Path, tmp_path: Path) -> None:
    """A checkpoint folder of Qwen2.5-VL-7B's geometry, without weights."""
    save_qwen("7b", tmp_path)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = [
        "--model.backbone=gaze_vlm.backbones.QwenVL",
        f"{MODEL}.frame_size_px=[252,336]",
        f"{MODEL}.dtype=bfloat16",
        f"{MODEL}.train=[projector]",
        f"{MODEL}.lora={{parts: [language]}}",
        f"{MODEL}.block=null",
        "--model.regularizer=null",
        "--trainer.precision=bf16-mixed",
    ]
    diagnosis = diagnose(configure([*arguments(tmp_path / "run", tmp_path, prepared), *options]).training)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 400_000
    total, trainable = diagnosis.parameters["language"]
    assert total - trainable == 7_615_616_512  # 28 layers, embeddings and head of the 7B
    per_layer = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)  # q, o; k, v; gate, up, down
    assert trainable == 28 * 16 * per_layer
    assert diagnosis.memory["weights"] == pytest.approx(2 * 8.29e9, rel=0.02)


def test_counts_are_those_of_the_loaded_model(tiny_llava: Path) -> None:
    """The contract tests it in every family."""
    loaded = make_backbone(FAMILIES[0], tiny_llava)
    trainable = sum(p.numel() for p in loaded.parameters() if p.requires_grad)
    everything = sum(p.numel() for p in loaded.parameters())
    assert count_by_part(loaded)["all"] == (everything, trainable)


def test_a_pair_of_versions_that_does_not_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    misfit = "torchvision 0.29.1 needs torch==2.14.1, 2.13.0 is installed"
    monkeypatch.setattr("gaze_vlm.training.checks.configuration.misfits", lambda: [misfit])
    diagnosis = doctor(arguments(tmp_path, tiny_llava, prepared))  # which may work all the same
    assert [problem.text for problem in diagnosis.problems if misfit in problem.text]


def test_a_prompt_that_the_template_does_not_take_ends_in_a_page(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [*arguments(tmp_path, tiny_llava, prepared), "--data.prompts={activity: what <image> is}"]
    assert main(["doctor", *options]) == 1
    assert "data.prompts.activity is 'what <image> is' and holds <image>, a special token" in capsys.readouterr().out
