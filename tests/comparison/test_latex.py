import re
import shutil
import subprocess

import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cell_tables import sections_of
from gaze_vlm.comparison.latex import escaped, latex_tables
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.table import build_table

DOCUMENT = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{tables}\end{document}"


@pytest.fixture
def tables(tmp_path):
    """LaTeX of a comparison with names that LaTeX would read otherwise."""
    runs = []
    for arm, share in (("control", 0.5), ("gaze_2 & 50%", 0.7), ("[x]", 0.6)):
        of_arm = rows(answers(48, share, 1), 1.0)
        runs.append(read_run(write_run(tmp_path / "run" / arm, of_arm, arm, dataset="a_b", backbone="c#1")))
    table = build_table(runs, "control", 0.8, baseline="control")
    return latex_tables(table, sections_of(runs), 0.8, "gaze-vlm compare --config x.yaml")


def test_a_table_a_task_with_a_tabular_a_group_of_scores(tables):
    assert tables.startswith("% gaze-vlm compare --config x.yaml\n")
    labels = re.findall(r"\\label\{(.*)\}", tables)
    tasks = ("activity", "future", "future-same", "future-reach", "future-unseen")
    assert labels == [f"tab:a_b-c-1-{task}" for task in tasks]
    for name in ("table*", "tabular"):
        assert tables.count(f"\\begin{{{name}}}") == tables.count(f"\\end{{{name}}}")
    assert tables.count(r"\begin{tabular}") == 3 * len(tasks)
    for tabular in re.findall(r"(?s)\\begin\{tabular\}\{(l\w+)\}(.*?)\\end\{tabular\}", tables):
        of_rows = [re.findall(r"(?<!\\)&", line) for line in tabular[1].splitlines() if line.endswith(r"\\")]
        assert {len(separators) for separators in of_rows} == {len(tabular[0]) - 1}


def test_names_are_escaped(tables):
    assert r"gaze\_2 \& 50\% & " in tables
    assert "{}[x] & " in tables
    assert r"on a\_b with c\#1" in tables
    assert escaped(r"\~^{}$ 1 < 2 ± λ") == (
        r"\textbackslash{}\textasciitilde{}\textasciicircum{}\{\}\$ 1 $<$ 2 $\pm$ $\lambda$"
    )
    assert re.search(r"\$-\$\d", tables)
    assert tables.isascii()
    assert "other seeds" not in tables  # which one seed says nothing of


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX")
def test_latex_takes_it(tables, tmp_path):
    (tmp_path / "tables.tex").write_text(tables)
    (tmp_path / "page.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)


def test_letters_that_pdflatex_lacks_are_named(tmp_path):
    runs = [read_run(write_run(tmp_path / arm, rows(answers(48, 0.5, 1)), arm)) for arm in ("control", "注视 é")]
    head = latex_tables(build_table(runs, "control", 0.8), sections_of(runs), 0.8, "gaze-vlm compare").splitlines()[2:4]
    assert head[0] == "% pdfLaTeX may lack these letters: 注视"
    assert "LuaLaTeX" in head[1]
