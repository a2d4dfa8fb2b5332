"""The model card of an export: true, readable by the hub, its lines run, and names of others inert in it."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from backbone_families import FAMILIES, make_backbone, make_clip
from fake_runs import answers, rows, write_run
from gaze_vlm.backbones import Lora
from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.cli import main
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.statistics import session_interval
from gaze_vlm.export.export import run_as_tested
from gaze_vlm.export.licences import KITCHEN, base_licence, data_licence, hub_name
from gaze_vlm.export.model_card import model_card
from gaze_vlm.inference.clips import answer, clip_of_frames
from gaze_vlm.training.configured import ConfiguredTraining, load_run
from hostile_names import HOSTILE


@pytest.fixture(scope="module")
def loaded(gaze_run: Path) -> ConfiguredTraining:
    return load_run(gaze_run)


def code_of(card: str) -> str:
    return card.partition("```python\n")[2].partition("```")[0]


def test_a_run_is_exported_with_its_card(
    gaze_run: Path, loaded: ConfiguredTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exported"
    assert main(["export", "--run", str(gaze_run), "--output", str(folder)]) == 0
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict() == {
        "library_name": "gaze-vlm-lightning",
        "pipeline_tag": "image-text-to-text",
        "tags": ["egocentric-video", "gaze", "attention"],
    }
    text = card.text
    assert "without it the folder loads,\nbut without the block, and the answers are wrong" in text
    assert "λ = 1, ε = 0.001" in text
    assert "| attention in the loss | the gaze block (both), its last layer, on 4×4 |" in text
    assert "from 4 frames at 1 Hz" in text
    assert "EGTEA Gaze+, under a licence of its own" in text
    assert "[too few sessions]" in text
    assert str(gaze_run.parent) not in text  # where it was trained is nobody's business
    frames = make_clip(1).frames
    monkeypatch.chdir(folder)
    with redirect_stdout(StringIO()) as printed:
        exec(code_of(text), {"frames": frames})
    clip = clip_of_frames(frames, [1.0, 2.0, 3.0, 4.0], "What is the camera wearer doing?")
    assert printed.getvalue().strip() == answer(loaded.model.backbone, [clip])[0]


def test_a_test_has_intervals(loaded: ConfiguredTraining, tmp_path: Path) -> None:
    right = answers(48, 0.6, 0)
    path = write_run(tmp_path / "run", rows(right, 1.25))
    write_run(path / "also" / "elsewhere", rows(answers(48, 0.2, 1)))
    card = model_card(loaded, "whole", None, None, read_run(path))
    expected = session_interval(right[:1].astype(float), [f"P{clip // 4:02d}" for clip in range(48)])
    shown = " ".join(f"{100 * value:.1f}" for value in (expected.mean, expected.low, expected.high)).split()
    assert f"| Noun | {shown[0]} [{shown[1]}, {shown[2]}] |" in card
    assert "| KL | 1.25 [1.25, 1.25] |" in card
    assert card.count("48 test clips of kitchen, 12 sessions") == card.count("of elsewhere, 12 sessions") == 2
    assert "| training clips | 800 |" in card
    assert "its store knows, which was not there" in card


def test_a_run_that_was_not_wholly_tested_has_no_scores(loaded: ConfiguredTraining, tmp_path: Path) -> None:
    assert run_as_tested(tmp_path) is None
    run = write_run(tmp_path, rows(answers(8, 0.5, 0)))
    (run / "config.yaml").touch()
    assert run_as_tested(run) is not None
    (run / "metrics.json").write_text('{"limited": {"samples": 2, "of": 8}}')
    with pytest.warns(UserWarning, match="the model card has no scores: .*limited test, 2 of 8 samples"):
        assert run_as_tested(run) is None
    assert "None: the run was not tested" in model_card(loaded, "whole", None, None, None)


@pytest.mark.parametrize("form", ["whole", "adapter"])
def test_plain_forms_say_so(form: str, loaded: ConfiguredTraining, tiny_llava: Path) -> None:
    lora = {"lora": Lora(rank=2), "train": ()} if form == "adapter" else {}
    model = SimpleNamespace(backbone=make_backbone(FAMILIES[0], tiny_llava, None, **lora), regularizer=None)
    cli = SimpleNamespace(model=model, datamodule=loaded.datamodule, options=loaded.options, config=loaded.config)
    card = model_card(cli, form, None, ClipShape(4, 2.5), None)
    library = {"whole": "transformers", "adapter": "peft"}[form]
    assert ModelCard(card).data.library_name == library
    assert "gaze_vlm" not in code_of(card)
    assert "Its training used no gaze." in card
    assert f"from {library} import" in code_of(card)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_of_others_are_inert(
    name: str, loaded: ConfiguredTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = read_run(write_run(tmp_path, rows(answers(8, 0.5, 0)), name, dataset=name))
    plain = blocks(model_card(loaded, "whole", None, ClipShape(4, 2.5), tested))
    for option in ("arm", "dataset", "backbone"):
        monkeypatch.setattr(loaded.options, option, name)
    monkeypatch.setattr(loaded.datamodule, "prompts", {"activity": name, "future": name})
    card = model_card(loaded, "whole", None, ClipShape(4, 2.5), tested)
    compile(code_of(card), "card", "exec")
    assert set(ModelCard(card).data.to_dict()) == {"library_name", "pipeline_tag", "tags"}
    assert blocks(card) == plain
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066\u200b]", card)


def blocks(card: str) -> list[str]:
    """Kinds of blocks in a card, and of what is in their lines but text."""
    found = MarkdownIt("gfm-like", {"linkify": False}).parse(card.split("\n---\n", 1)[1])
    inline = [one.type for token in found for one in token.children or () if one.type != "text"]
    return [token.type + token.tag for token in found] + inline


def test_licences_are_those_of_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    for written, read in (
        ("---\nlicense: apache-2.0\ntags: []\n---\n# x", "apache-2.0"),
        ("---\ntags: []\nlicense:   llama2\n---\n", "llama2"),
        ("---\nlicense: [a](https://evil.example)\n---\n", None),
        ("---\nlicense: 'x\n---\n", None),
        ("# A page\nlicense: mit\n---\n", None),
    ):
        page.write_text(written)
        assert base_licence(str(tmp_path)) == read
    page.write_bytes(b"---\nlicense: mit\n\xff---\n" + bytes(10))
    assert base_licence(str(tmp_path)) is None
    page.unlink()
    assert base_licence(str(tmp_path)) is None
    assert base_licence("kitchen-llava") == "apache-2.0"
    assert base_licence("llava-hf/llava-1.5-7b-hf") is None  # not on this machine
    monkeypatch.setattr("gaze_vlm.export.licences.try_to_load_from_cache", lambda *_: str(page))
    page.write_text("---\nlicense: llama2\n---\n")
    assert base_licence("llava-hf/llava-1.5-7b-hf") == "llama2"
    assert hub_name("a/../../b") is hub_name(str(tmp_path)) is hub_name("kitchen-llava") is None


def test_the_kitchen_is_not_taken_for_the_data_set_in_whose_files_it_is(tmp_path: Path) -> None:
    manifest = SimpleNamespace(root=str(tmp_path), dataset="egtea")
    assert data_licence(manifest).startswith("EGTEA Gaze+")
    (tmp_path / "kitchen.json").write_text("{}")
    assert data_licence(manifest) == KITCHEN
    assert "not known" in data_licence(None)
