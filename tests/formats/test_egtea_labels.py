"""EGTEA Gaze+'s annotations: names, index files, labels and split files."""

from pathlib import Path

import pytest

from egtea_files import write_split
from gaze_vlm.formats.egtea_labels import (
    ClipName,
    actions_of_splits,
    parts_of_actions,
    plain,
    read_action_labels,
    read_index,
    read_splits,
)

CLIP = "P21-R04-ContinentalBreakfast-291175-294945-F006979-F007088"


def test_clip_name() -> None:
    clip = ClipName.parse(CLIP, "here")
    assert (clip.session, clip.start_ms, clip.end_ms) == ("P21-R04-ContinentalBreakfast", 291175, 294945)
    assert (clip.first_frame, clip.end_frame) == (6979, 7088)
    assert clip.key == ("p21-r04-continentalbreakfast", 291175, 294945)


@pytest.mark.parametrize(
    "name",
    [
        "P21-R04-ContinentalBreakfast",
        CLIP.removesuffix("-F007088"),
        CLIP.replace("F006979", "F6979"),
        CLIP.replace("294945", "291175"),
        CLIP.replace("F007088", "F006979"),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"here: .*'{name}'"):
        ClipName.parse(name, "here")


def test_plain_text() -> None:
    assert plain("Cut red_cup") == "cut red cup"
    assert plain("Mix mixture,eating_utensil") == "mix mixture, eating utensil"


def test_index_splits_at_the_last_space(tmp_path: Path) -> None:
    path = tmp_path / "verb_idx.txt"
    path.write_text("Move Around 2\nCut 1\n")
    assert read_index(path) == ("cut", "move around")


@pytest.mark.parametrize("text", ["Cut\n", "Cut 1\nWash 3\n", f"Cut {9:05000}\n"])
def test_damaged_index(tmp_path: Path, text: str) -> None:
    path = tmp_path / "verb_idx.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"verb_idx.txt"):
        read_index(path)


@pytest.mark.parametrize(
    "row", ["1; a; b; 5", "1; a; b; 5; 3; Cut onion; Cut; onion", "1; a; b; x; 9; Cut onion; Cut; onion"]
)
def test_malformed_label(tmp_path: Path, row: str) -> None:
    path = tmp_path / "action_labels.csv"
    path.write_text("# header\n" + row + "\n")
    with pytest.raises(ValueError, match=r"action_labels.csv, line 2"):
        read_action_labels(path, {})


def test_csv_of_the_data_set(tmp_path: Path) -> None:
    path = tmp_path / "action_labels.csv"
    path.write_text(
        "# Clip ID (Unique, used only internally); Clip Prefix (Unique); Video Session; Starting Time (ms);  "
        "Ending Time (ms); Action Label; Verb Label; Noun Label(s)\n"
        "1; P05-R01-PastaSalad-583261-586055; P05-R01-PastaSalad; 583261; 586055; Cut tomato; Cut; tomato\n"
        "2; P05-R01-PastaSalad-1-9; P05-R01-PastaSalad; 1; 9; Mix mixture,eating_utensil; Mix; mixture,eating_utensil\n"
    )
    first, second = read_action_labels(path, {("p05-r01-pastasalad", 1, 9): "test"})["p05-r01-pastasalad"]
    assert (first.start_s, first.end_s, first.text, first.split) == (583.261, 586.055, "cut tomato", None)
    assert (second.text, second.verb, second.noun) == ("mix mixture, eating utensil", "mix", "mixture")
    assert second.split == "test"


def test_split_file_with_several_nouns(tmp_path: Path) -> None:
    (tmp_path / "train_split2.txt").write_text(f"{CLIP} 1 2 2 1\r\n\r\n")
    (tmp_path / "test_split2.txt").write_text("")
    rows = read_splits(tmp_path, 2)
    assert parts_of_actions(rows) == {("p21-r04-continentalbreakfast", 291175, 294945): "train"}
    actions = actions_of_splits(rows, ["mix pasta, bowl"], ["cut", "mix"], ["bowl", "pasta"])
    (action,) = actions["p21-r04-continentalbreakfast"]
    assert (action.start_s, action.end_s, action.text) == (291.175, 294.945, "mix pasta, bowl")
    assert (action.verb, action.noun, action.split) == ("mix", "pasta", "train")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"{CLIP} 1 1", "is not 'ClipName ActionID"),
        (f"{CLIP} 1 one 1", "is not 'ClipName ActionID"),
        ("P21-R04 1 1 1", "'P21-R04' is no clip's name"),
        (f"{CLIP} 1 0 1", r"verb 0 has no name in verb_idx.txt, which has 1 to 1"),
        (f"{CLIP} 1 1 9", r"noun 9 has no name in noun_idx.txt"),
    ],
)
def test_malformed_split_file(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "train_split1.txt").write_text(f"{CLIP} 1 1 1\n{row}\n")
    (tmp_path / "test_split1.txt").touch()
    with pytest.raises(ValueError, match=rf"train_split1.txt, line 2: .*{said}"):
        actions_of_splits(read_splits(tmp_path, 1), ["cut onion"], ["cut"], ["onion"])


def test_half_a_split_and_a_clip_in_both_parts(tmp_path: Path) -> None:
    (tmp_path / "train_split1.txt").write_text(f"{CLIP} 1 1 1\n")
    with pytest.raises(ValueError, match=r"test_split1.txt is missing"):
        read_splits(tmp_path, 1)
    (tmp_path / "test_split1.txt").write_text(f"{CLIP.lower().replace('-f', '-F')} 1 1 1\n")
    with pytest.raises(ValueError, match=r"test_split1.txt, line 1: this action is in .*train_split1.txt too"):
        read_splits(tmp_path, 1)
    assert read_splits(tmp_path, 2) == {}


def test_the_three_splits_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "action_annotation").mkdir()
    for split in (1, 2, 3):
        write_split(tmp_path, split, train=[(f"P0{split}-R01-Pizza", 0)], test=[])
    for split in (1, 2, 3):
        assert list(parts_of_actions(read_splits(tmp_path / "action_annotation", split))) == [
            (f"p0{split}-r01-pizza", 0, 2000)
        ]
