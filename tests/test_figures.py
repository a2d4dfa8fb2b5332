"""Differences that README and docs quote with an interval are some row's of results/, or are named here.

Which row it is of, this does not tell.
"""

import csv
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUOTED = re.compile(r"([+−-]\d+\.\d+)(?: ± \d+\.\d+)?\**\s+\[([+−-]\d+\.\d+),\s+([+−-]\d+\.\d+)\]")
COLUMNS = [
    (mean, f"{bounds}_low", f"{bounds}_high")
    for mean, of in (("diff", ("diff", "diff_seeds")), ("baseline_diff", ("baseline", "baseline_seeds")))
    for bounds in of
]
ON_A_XEON = ["+9.9 [+7.8, +12.1]", "+5.1 [+4.0, +6.3]"]
THREE_SEEDS = ["+5.2 [+3.0, +7.4]"]
ELSEWHERE = {
    "README.md": [ON_A_XEON[0], *THREE_SEEDS],
    "scores.md": [*ON_A_XEON, *THREE_SEEDS],
    "kitchen.md": [ON_A_XEON[0], "+12.8 [+10.1, +15.4]", "+5.0 [+3.1, +6.9]"],  # earlier tables
    "quick_start.md": ["+20.2 [+11.6, +28.8]", "+8.7 [+3.2, +14.3]"],  # of `make demo`
    "results.md": [
        # `released-code` against `gaze`, which the table has against `control`
        *("+5.5 [+3.2, +7.8]", "+2.8 [+1.0, +4.7]"),
        # the choice on validation clips, as it was made
        *("+7.1 [+3.6, +10.6]", "+12.8 [+8.2, +17.5]", "+4.7 [+2.5, +7.0]", "+12.1 [+9.0, +15.3]", "+0.2 [-3.8, +4.2]"),
        *("+1.0 [-1.1, +3.0]", "+3.3 [-0.6, +7.2]", "+3.4 [-0.5, +7.3]", "+2.1 [-2.9, +7.1]"),
        # an earlier table
        *("+5.7 [+4.0, +7.4]", "+2.9 [-4.3, +10.2]"),
    ],
}


def quoted(text: str) -> list[str]:
    """Differences with their intervals, as a CSV would be rounded; KL has two decimals."""
    found = (number.replace("−", "-") for match in QUOTED.findall(text) for number in match)
    numbers = [f"{float(number):+z.{len(number.partition('.')[2])}f}" for number in found]
    return [f"{mean} [{low}, {high}]" for mean, low, high in zip(*[iter(numbers)] * 3, strict=True)]


@pytest.fixture(scope="module")
def measured() -> set[str]:
    """What the files of results/ have, in one decimal and in two."""
    made = set()
    for file in (ROOT / "results").glob("*.csv"):
        for row in csv.DictReader(file.read_text().splitlines()):
            for columns in COLUMNS:
                if all(row.get(column) for column in columns):
                    for decimals in (1, 2):
                        mean, low, high = (f"{float(row[column]):+z.{decimals}f}" for column in columns)
                        made.add(f"{mean} [{low}, {high}]")
    return made


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_quoted_difference_was_measured(document: Path, measured: set[str]) -> None:
    unknown = [one for one in quoted(document.read_text()) if one not in measured]
    assert sorted(unknown) == sorted(ELSEWHERE.get(document.name, [])), "quote what results/ has, or name it above"


def test_figures_are_found_however_they_are_written() -> None:
    text = "**+6.1** [+2.6, +9.6] and −0.06 ± 0.04 [−0.16,\n+0.05]; 31.7 ± 4.0 is none, [+1.0, +2.0] neither"
    assert quoted(text) == ["+6.1 [+2.6, +9.6]", "-0.06 [-0.16, +0.05]"]


def test_the_coverage_of_intervals_is_that_of_the_benchmark() -> None:
    """The rows of docs/scores.md whose intervals are for other seeds too."""
    measured = json.loads((ROOT / "benchmarks/results/interval_coverage.json").read_text())["figures"]
    names = {"not at all": "seeds alike", "some": "seeds differ", "much": "seeds differ much"}
    rows = re.findall(r"^\| (\d?) ?\| (not at all|some|much) \| (.*) \|$", (ROOT / "docs/scores.md").read_text(), re.M)
    assert [said for _, said, _ in rows] == [*names, *names]
    for number, (_, said, cells) in enumerate(rows):
        seeds = (3, 6)[number // len(names)]
        for method, cell in zip(("both", "sessions alone", "seeds alone"), cells.split(" | "), strict=True):
            case = f"other seeds, {names[said]}, equal, {seeds} seeds"
            assert cell == " / ".join(
                str(measured[f"{case}, {sessions} sessions: {method}"]) for sessions in (6, 20, 60)
            )
