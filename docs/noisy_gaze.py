"""Write the table of docs/noisy_gaze.md from results/quality.csv: `python docs/noisy_gaze.py --write`."""

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "noisy_gaze.md"
BEGIN, END = "<!-- table: python docs/noisy_gaze.py --write -->\n", "<!-- end -->"
TASKS = ("activity", "future")
GAIN = ("diff", "diff_low", "diff_high")


def table() -> str:
    """Return the gain of each arm in nouns, by task, as a Markdown table."""
    gains: dict[str, dict[str, str]] = {}
    with (ROOT / "results" / "quality.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["metric"] == "noun" and row["task"] in TASKS and row["diff"]:
                gain, low, high = (f"{float(row[name]):+.1f}".replace("-", "−") for name in GAIN)
                gains.setdefault(row["arm"], {})[row["task"]] = f"{gain} [{low}, {high}]"
    lines = [f"| `{arm}` | {' | '.join(by_task[task] for task in TASKS)} |" for arm, by_task in gains.items()]
    return "\n".join(["| arm | activity | future |", "|---|---:|---:|", *lines])


def page() -> str:
    """Return the page with its table."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(table())
