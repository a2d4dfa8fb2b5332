"""The pages name tests; each of them is there."""

import re
from pathlib import Path

import pytest

import fault_drill
from gaze_vlm.metrics.scores import SCORES
from training_files import ROOT

TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)(?:::(?P<name>test_\w+))?`")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_test_is_there(page: Path) -> None:
    named = list(TEST.finditer(page.read_text(encoding="utf-8")))
    assert page.name != "traps.md" or len(named) > 50
    for test in named:
        file = ROOT / test["file"]
        assert file.is_file(), test[0]
        assert test["name"] is None or f"\ndef {test['name']}(" in file.read_text(encoding="utf-8"), test[0]


def test_the_page_of_faults_is_the_drills() -> None:
    assert fault_drill.PAGE.read_text(encoding="utf-8") == fault_drill.page(), (
        "run `python tests/fault_drill.py --write`"
    )


def test_a_score_has_a_row() -> None:
    page = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [*SCORES]


def test_a_trap_has_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "traps.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert all(TEST.search(row) for row in rows if not row.startswith(("| trap", "|---")))


def test_an_arm_has_a_row_and_its_file_its_name() -> None:
    page = (ROOT / "docs" / "arms.md").read_text(encoding="utf-8")
    named: set[str] = set()
    for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE):
        first, *others = re.findall(r"`([\w.-]+)`", row)  # `noise-0.05`, `-0.1`
        named |= {first, *(other if other[0] != "-" else first.rpartition("-")[0] + other for other in others)}
    files = (ROOT / "lightning_configs" / "arms").glob("*.yaml")
    arms = {file.stem: file.read_text(encoding="utf-8") for file in files}
    assert arms.keys() - named == set()
    assert [arm for arm, text in arms.items() if f"\nrun: {{arm: {arm}}}\n" not in text] == []
