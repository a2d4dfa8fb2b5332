"""Arms, backbones and data sets with hostile names: inert in every table and picture of a comparison."""

import csv
import re
import xml.etree.ElementTree as ET
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cell_tables import sections_of
from gaze_vlm.comparison.curve import curve_figure, curve_points, write_curve_csv
from gaze_vlm.comparison.latex import latex_tables
from gaze_vlm.comparison.markdown import comparison_page
from gaze_vlm.comparison.missing import Missing
from gaze_vlm.comparison.planned_runs import PlannedRun
from gaze_vlm.comparison.runs import Run, read_run
from gaze_vlm.comparison.sweeps import sweep_gains, sweeps_figure
from gaze_vlm.comparison.table import Table, build_table
from gaze_vlm.foreign_text import visible
from gaze_vlm.runs.directory import RunDirectory
from hostile_names import HOSTILE

Compared = tuple[str, list[Run], Table]
SPECIAL = r"[&%$#_{}~^\\]"


@pytest.fixture(scope="module", params=HOSTILE.values(), ids=HOSTILE)
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A name, and runs of which one arm, the backbone and the data set are called so."""
    folder, name = tmp_path_factory.mktemp("runs"), request.param
    runs = []
    for number, arm in enumerate(("control", name)):
        right = rows(answers(12, 0.4 + 0.2 * number, number), 1.0)
        for clips in (800, 80):
            path = folder / f"{arm == name}-{clips}"
            made = write_run(path, right, arm, backbone=name, dataset=name, weight=float(number), train_clips=clips)
            runs.append(read_run(made))
    main = [run for run in runs if run.train_clips == 800]
    return name, runs, build_table(main, "control", 0.8, baseline="control")


def test_the_markdown_page(compared: Compared, tmp_path: Path) -> None:
    name, runs, table = compared
    missing = [Missing(PlannedRun(name, name, name, 7, 5, RunDirectory(tmp_path)), name, name)]
    curve = curve_points(runs, "control", "noun")
    main = [run for run in runs if run.train_clips == 800]
    page = comparison_page(
        table, main, 0.8, f"gaze-vlm compare {name}", "torch 1", curve=curve, missing=missing, curve_runs=runs
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066\u200b]", page)
    found = MarkdownIt("gfm-like", {"linkify": False}).parse(page)
    kinds = {one.type.partition("_")[0] for token in found for one in (token, *(token.children or ()))}
    own = "heading paragraph bullet list table thead tbody tr th td inline text code strong em link softbreak"
    assert kinds <= {*own.split()}
    inline = [token for token in found if token.type == "inline"]
    links = [one.attrs["href"] for token in inline for one in token.children or () if one.type == "link_open"]
    assert links
    assert all("evil.example" not in str(link) for link in links)
    headings = [token for before, token in pairwise(found) if before.type == "heading_open"]
    assert sum(token.content.startswith("Activity") for token in headings) == 1
    assert "".join(one.content for one in headings[0].children or ()) == visible(f"{name}, {name}", keep="").strip()
    width = 0
    for token in found:  # no row of a table has a cell more than its head
        width = {"thead_open": 0, "th_open": width + 1}.get(token.type, width)
    assert width


def test_the_csv(compared: Compared, tmp_path: Path) -> None:
    name, runs, table = compared
    table.write_csv(tmp_path / "table.csv")
    write_curve_csv(curve_points(runs, "control", "noun"), tmp_path / "curve.csv")
    for file in ("table.csv", "curve.csv"):
        with (tmp_path / file).open(encoding="utf-8", newline="") as stream:
            found = list(csv.DictReader(stream))
        assert {row["arm"].removeprefix("'") for row in found} == {"control", visible(name, keep="")}
        for value in (value for row in found for value in row.values()):
            assert re.fullmatch(r"-?[\d.]+(e-\d+)?", value) or not re.match(r"[=+\-@＝＋－＠\t\r\n]", value), value


def test_the_latex(compared: Compared) -> None:
    name, runs, table = compared
    tex = latex_tables(table, sections_of(runs[:1]), 0.8, f"gaze-vlm compare {name}")
    assert tex.splitlines()[0].startswith("% gaze-vlm compare ")
    assert tex.splitlines()[1].startswith("% Needs")
    commands = {*re.findall(r"\\([A-Za-z]+)", re.sub(r"(?m)^%.*", "", tex))}
    known = "begin end centering caption label par medskip resizebox ifdim width textwidth else fi toprule midrule"
    signs = "bottomrule emph textbackslash textasciitilde textasciicircum pm times lambda sigma dagger rightarrow"
    assert commands <= {*known.split(), *signs.split()}
    for row in (line for line in tex.splitlines() if line.endswith(r" \\")):
        assert row.count("{") - row.count(r"\{") == row.count("}") - row.count(r"\}"), row
    labels = re.findall(r"\\label\{(.*)\}", tex)
    assert not any(re.search(r"[&%$#{}~^\\\s]", label) for label in labels)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_the_pictures(compared: Compared) -> None:
    """Drawn, with the name whole in the legend: matplotlib leaves out names that begin with _, and reads $ as math."""
    name, runs, table = compared
    shown = visible(name)
    curve = curve_figure(curve_points(runs, "control", "noun"), name)
    legend = curve.axes[-1].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"control", shown}
    sweeps = sweep_gains(table, sections_of(runs)[0], {name: {"control": 0.0, name: 1.0}}, "noun")
    swept = sweeps_figure(sweeps, name, "noun")
    assert swept.axes[0].get_xlabel() == shown
    assert shown in swept.axes[0].get_ylabel()
    if len(name) < 200:
        check_drawn(curve)
        check_drawn(swept)


def check_drawn(figure: Figure) -> None:
    """As SVG, which is well formed."""
    svg = BytesIO()
    figure.savefig(svg, format="svg")
    assert not ET.fromstring(svg.getvalue()).findall(".//{http://www.w3.org/2000/svg}script")
