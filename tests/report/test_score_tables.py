from dataclasses import replace
from pathlib import Path

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cell_tables import Section
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.table import build_table
from gaze_vlm.report.score_tables import group_tables


def test_an_arm_that_sees_gaze_at_test_is_marked(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / arm, rows(answers(24, 0.5, 0)), arm)) for arm in ("control", "gaze-drawn")]
    marked = [replace(run, sees_gaze_at_test=run.arm == "gaze-drawn") for run in runs]
    section = Section("kitchen", "kitchen", "tiny-llava")
    (plain, *_), (group, *_) = (
        group_tables(build_table(one, "control", 0.8), section, "activity") for one in (runs, marked)
    )
    assert [line.name + line.mark for line in group.means] == ["control", "gaze-drawn†"]
    assert group.note.startswith("† The model is given gaze at test too")
    assert (plain.note, {line.mark for line in plain.means}) == ("", {""})
