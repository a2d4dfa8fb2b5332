r"""The tables of a comparison for a paper: LaTeX with booktabs, to be taken in by `\input`."""

import re
from collections.abc import Sequence
from math import isnan

from gaze_vlm.comparison.cell_tables import SEES_GAZE_NOTE, TITLES, CellTable, Emphasised, Section, score_cells
from gaze_vlm.comparison.cells import NO_INTERVAL
from gaze_vlm.comparison.groups import SPLIT_TASKS
from gaze_vlm.comparison.statistics import LEAST_SESSIONS
from gaze_vlm.comparison.table import Row, Table
from gaze_vlm.foreign_text import visible

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "—": "---",
    "±": r"$\pm$",
    "‖": r"$\|$",
    "×": r"$\times$",
    "−": "$-$",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
    "†": r"$^\dagger$",
    "→": r"$\rightarrow$",
}
MINUS = re.compile(r"(?<!\w)-(?=\d)")
TOO_FEW = "(too few sessions)"
OTHER_SEEDS = " An interval with other seeds holds for other sessions and other seeds."
HEAD = r"""% {command}
% Needs \usepackage{{booktabs}} and \usepackage{{graphicx}}. Wide tables are scaled to the width of the text.
"""
LETTERS = """% pdfLaTeX may lack these letters: {letters}
% Compile it with LuaLaTeX or XeLaTeX, and a font that has them.
"""
LAST_LATIN = 0x17F
CAPTION = (
    "{title}, on {tested} with {backbone}: {clips:,} clips of {sessions:,} sessions. Points of a hundred, mean ± sd "
    "over seeds; KL and other measures of attention as they are. Differences are paired by seed and clip, with 95 % t "
    "intervals clustered by session{p}.{seeds}"
)


def latex_tables(table: Table, sections: Sequence[Section], reach_s: float, command: str) -> str:
    """Return a `table*` for each section and task that has clips.

    Its label is `tab:DATASET-BACKBONE-TASK`.
    """
    parts = [HEAD.format(command=visible(command, keep=""))]
    for section in sections:
        for task in SPLIT_TASKS:
            clips, sessions = table.tested[section.dataset, task]
            if not clips:
                continue
            arms = table.of(section.dataset, section.backbone, task, section.trained_on)
            rows = [row for of_arm in arms.values() for row in of_arm.values()]
            caption = CAPTION.format(
                title=TITLES[task].format(reach_s=reach_s),
                tested=section.tested[:1].lower() + section.tested[1:] if " " in section.tested else section.tested,
                backbone=section.backbone,
                clips=clips,
                sessions=sessions,
                p=" and Holm-corrected permutation p" if sessions >= LEAST_SESSIONS else "",
                seeds=OTHER_SEEDS if any(_has_other_seeds(row) for row in rows) else "",
            )
            label = re.sub(r"[^\w.+]+", "-", "-".join((section.dataset, *_other(section), section.backbone, task)))
            parts += [
                r"\begin{table*}",
                r"\centering",
                f"\\caption{{{escaped(f'{caption} {SEES_GAZE_NOTE}' if table.sees_gaze else caption)}}}",
                f"\\label{{tab:{label}}}",
                *("\n\\par\\medskip\n".join(map(_tabular, score_cells(table, section, task))).splitlines()),
                r"\end{table*}",
                "",
            ]
    strange = sorted({character for part in parts for character in part if ord(character) > LAST_LATIN})
    if strange:
        parts[0] += LETTERS.format(letters="".join(strange))
    return "\n".join(parts)


def escaped(text: str) -> str:
    """Return text in which LaTeX reads every character as itself, in one line."""
    return "".join(SPECIAL.get(character, character) for character in visible(text, keep=""))


def _has_other_seeds(row: Row) -> bool:
    return not (isnan(row.diff_seeds_low) and isnan(row.baseline_seeds_low))


def _other(section: Section) -> list[str]:
    return [] if section.dataset == section.trained_on else [f"from-{section.trained_on}"]


def _tabular(cells: CellTable) -> str:
    columns = "l" + "r" * (len(cells.header) - 1)
    lines = [r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%", f"\\begin{{tabular}}{{{columns}}}"]
    lines += [r"\toprule", _row(cells.header), r"\midrule"]
    lines += [*map(_row, cells.rows), r"\bottomrule", r"\end{tabular}}"]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    written = MINUS.sub("$-$", escaped(text.replace(NO_INTERVAL, TOO_FEW)))
    # After the end of a row, a star or a bracket would be its option.
    return f"\\emph{{{written}}}" if isinstance(text, Emphasised) else "{}" * written.startswith(("[", "*")) + written
