"""The page of a comparison: whole in itself, for every reader, and safe with whatever names and answers are."""

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from gaze_vlm.cli import main
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.statistics import Estimate
from gaze_vlm.comparison.table import build_table
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.overlay import one_scale, resized, with_density, with_points
from gaze_vlm.gaze.view import View
from gaze_vlm.preparation.store import Store
from gaze_vlm.report import page, pictured
from gaze_vlm.report.alignment_views import alignment_views, heat_map
from gaze_vlm.report.attention_figure import ClipAttention
from gaze_vlm.report.charts import Mean, inline_svg, means_chart, scale_bar
from gaze_vlm.report.clip_views import maps_of, place
from gaze_vlm.report.compared import Compared
from gaze_vlm.report.compared_attention import ComparedAttention, attention_of_runs, middle_one
from gaze_vlm.report.html import third_party
from gaze_vlm.runs.alignment import Alignment
from html_checks import Page, check_readable, check_whole

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "🍅 & <b>$x_1$</b>")
UNSEEN = "\x1b[2J\x00\u202e\x9b"
FRAMES = 3


@pytest.fixture(scope="module")
def written(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["report", "--config", str(compared), "--output", str(output), "--count", "2"]) == 0
    return output.read_text(encoding="utf-8")


def test_the_page_is_whole_and_readable(written: str) -> None:
    check_whole(written)
    check_readable(written)
    assert "{{" not in written
    assert len(written) < 5e6


def test_the_page_says_what_gaze_did_first(written: str) -> None:
    parsed = Page(written)
    headings = [data for tag, data in parsed.texts if re.fullmatch("h[1-4]", tag)]
    assert headings[0] == "Too few sessions to tell"
    assert ("strong", "Incomplete: 0 missing.") not in parsed.texts
    first = written.index("After training with gaze")
    assert first < written.index('id="results"') < written.index('id="settings"')
    assert "The treatment: attention is pulled toward the wearer's own gaze." in written.replace("&#39;", "'")
    assert parsed.all("header", "nav", "main") == [{}, {"aria-label": "On this page"}, {"id": "main", "tabindex": "-1"}]


def test_arms_whose_control_is_the_plain_model_are_named(compared: Path, tmp_path: Path, written: str) -> None:
    config = yaml.safe_load(compared.read_text())
    config |= {"arms": config["arms"] | {"other": config["arms"]["gaze"]}, "controls": {"other": "baseline"}}
    config["runs"] = str(shutil.copytree(compared.parent / "runs", tmp_path / "runs"))
    other = shutil.copytree(tmp_path / "runs/gaze", tmp_path / "runs/other") / "seed0"
    (other / "run.json").write_text((other / "run.json").read_text().replace('"gaze"', '"other"'))
    file, output = tmp_path / "compare.yaml", tmp_path / "page.html"
    file.write_text(yaml.safe_dump(config))
    assert main(["report", "--config", str(file), "--output", str(output), "--count", "0"]) == 0
    sentence = "Trained like the plain model, but for the pull:"
    assert re.search(rf"{sentence}\s+<strong>other</strong> \d", output.read_text(encoding="utf-8"))
    assert sentence not in written


def test_every_table_has_a_caption_and_every_sorted_column_a_button(written: str) -> None:
    parsed = Page(written)
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    tables = written.split("<table")[1:]
    for table in tables:
        buttons, headers = table.count("<button"), table.count('<th scope="col"')
        assert buttons == (headers if 'class="sortable' in table[:80] else 0)


def test_clips_that_are_asked_for_come_first(compared: Path, written: str, tmp_path: Path) -> None:
    clip = read_run(compared.parent / "runs" / "gaze" / "seed0").predictions[0].clip_id
    output = tmp_path / "page.html"
    assert main(["report", f"--config={compared}", f"--output={output}", "--count=0", "--clips", clip]) == 0
    text = output.read_text(encoding="utf-8")
    assert ">Clips asked for</h2>" in text
    assert text.count('class="clip"') == 1
    parsed = Page(text)
    assert sum((image["alt"] or "").startswith("Attention of the arm") for image in parsed.all("img")) == 4
    rows = read_run(compared.parent / "runs" / "gaze" / "seed0").predictions
    apart = {answer for tag, answer in parsed.texts if tag == "bdi"}  # each runs in its own direction
    assert {row.prediction for row in rows if row.clip_id == clip} <= apart


def test_without_clips_no_model_is_run(compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictured, "attention_of_runs", None)
    output = tmp_path / "page.html"
    assert main(["report", f"--config={compared}", f"--output={output}", "--count=0"]) == 0
    text = output.read_text(encoding="utf-8")
    check_readable(text)
    assert "<img" not in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "give --config for a page, or --clip with --runs and --output for a video"),
        (["--config=a.yaml", "--clip=b", "--output=c.mp4"], "give --config for a page"),
        (["--clip=b"], "give --config for a page"),
        (["--clip=b", "--output=c.html"], "c.html: .html is no kind to write"),
        (["--clip=b", "--output=c.mp4"], "--runs names no run"),
        (["--clip=b", "--output=c.mp4", "--runs", "nowhere"], "nowhere/config.yaml is missing"),
        (["--config=nowhere.yaml"], "nowhere.yaml does not exist"),
        (["--config=nowhere.yaml", "--output=page.pdf"], "page.pdf: .pdf is no kind to write"),
        (["--config=nowhere.yaml", "--count=-1"], "count"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *args]) == 1
    assert said in capsys.readouterr().err


def clip(name: str) -> Clip:
    frames = torch.arange(FRAMES * 3 * 24 * 32).remainder(255).to(torch.uint8).view(FRAMES, 3, 24, 32)
    mixture = GazeMixture(torch.full((FRAMES, 1, 2), 0.3), torch.ones(FRAMES, 1), 0.1, 4 / 3)
    return Clip(name, name, name, "activity", frames, [1.0, 2.0, 3.0], mixture, "?", "x", None, None, False, 1.0)


def compared_attention(arms: list[str], clips: list[Clip], valid: bool = True) -> ComparedAttention:
    mass = np.random.default_rng(0).dirichlet(np.ones(8), (len(clips), FRAMES)).reshape(len(clips), FRAMES, 2, 4)
    counts = np.full((len(clips), FRAMES), valid)
    of_arm = {arm: ClipAttention(arm, Path(arm), mass, mass[:, ::-1], counts, View()) for arm in arms}
    return ComparedAttention(tuple(clips), (), {"activity": HOSTILE[0], "future": "next?"}, of_arm, arms[-1])


def test_a_run_that_was_tested_on_validation_clips_shows_those(compared: Path, prepared: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(compared.parent / "runs" / "gaze" / "seed0", tmp_path / "run"))
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("test_split: test", "test_split: validation"))
    clip_id = next(record.clip_id for record in Store(prepared).clips if record.split == "validation")
    assert [clip.clip_id for clip in attention_of_runs({"gaze": run}, "gaze", [clip_id]).clips] == [clip_id]


def test_each_run_is_shown_a_clip_as_its_own_test_shows_it(compared: Path, prepared: Path, tmp_path: Path) -> None:
    clip_id = next(one.clip_id for one in Store(prepared).clips if one.split == "test")
    runs = {name: tmp_path / name for name in ("plain", "blank")}
    for name, run in runs.items():
        shutil.copytree(compared.parent / "runs/gaze/seed0", run)
        config = yaml.safe_load((run / "config.yaml").read_text())
        config["data"]["frames"] = {"plain": "own"}.get(name, name)
        (run / "config.yaml").write_text(yaml.safe_dump(config))
    both = attention_of_runs(runs, "plain", [clip_id]).of_arm
    alone = attention_of_runs({"blank": runs["blank"]}, "blank", [clip_id]).of_arm
    assert np.array_equal(both["blank"].attention, alone["blank"].attention)
    assert not np.array_equal(both["blank"].attention, both["plain"].attention)


def test_names_and_texts_are_escaped(compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = load_comparison(compared)
    runs = []
    for path in sorted((compared.parent / "runs").glob("*/seed0")):
        run = read_run(path)
        ids = dict(zip(dict.fromkeys(one.clip_id for one in run.predictions), HOSTILE, strict=False))
        renamed = [
            replace(
                one,
                clip_id=ids[one.clip_id],
                session=ids[one.clip_id],
                prediction=HOSTILE[1] + UNSEEN,
                target=HOSTILE[2],
            )
            for one in run.predictions
        ]
        runs.append(replace(run, predictions=tuple(renamed), backbone=HOSTILE[1], dataset=HOSTILE[2] + UNSEEN))
    monkeypatch.setattr(
        pictured,
        "attention_of_runs",
        lambda arms, guide, ids: compared_attention(["control", "gaze"], [clip(one) for one in ids]),
    )
    table = build_table(runs, "control", 0.8)
    made = page.page_of(Compared(comparison, runs, table, [], [], HOSTILE[0]), tmp_path / "page.html", 1, HOSTILE[:1])
    check_whole(made)
    check_readable(made)
    parsed = Page(made)
    said = [data for _, data in parsed.texts]
    assert ("h3", HOSTILE[0]) in parsed.texts
    assert any(HOSTILE[1] in data for data in said)
    assert any(HOSTILE[2] in data for data in said)
    assert "<b>$x" not in made
    assert r"\x1b[2J\x00\u202e\x9b" in made
    assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202e]", made)


def test_the_shipped_script_is_the_one_that_was_vetted() -> None:
    told = third_party("README.md")
    for name in ("sortable.js",):
        digest = hashlib.sha256(third_party(name).encode()).hexdigest()
        assert f"`{name}`" in told
        assert f"`{digest}`" in told


def luminance(colour: str) -> float:
    parts = np.array([int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)])
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_texts_have_the_contrast_of_wcag_aa_in_both_themes(written: str) -> None:
    style = written.split("<style>")[1].split("</style>")[0]
    themes = [dict(re.findall(r"(--\w+): (#[0-9a-f]{6})", block)) for block in style.split("@media screen")]
    assert len(themes) == 2
    for theme in themes:
        for ground in ("--page", "--panel", "--tint"):
            assert min(contrast(theme[name], theme[ground]) for name in ("--text", "--muted", "--accent")) >= 4.5
        assert contrast(theme["--edge"], theme["--page"]) >= 3
    for query in ("prefers-reduced-motion", "@media print", ":focus-visible"):
        assert query in style


def test_layers_and_heads_are_mapped_on_one_scale_with_their_numbers(compared: Path) -> None:
    paths = {arm: compared.parent / "runs" / arm / "seed0" for arm in ("baseline", "control", "gaze")}
    views = alignment_views({arm: read_run(path) for arm, path in paths.items()})
    assert [one.arm for one in views] == ["control", "gaze"]
    for one in views:
        assert one.words.startswith("Attention of the gaze block: mean 0.")
        assert all(len(values) == len(one.heads) for _, values in one.layers)
        assert Page(one.chart).texts[0] == ("title", f"AUC of each layer and head, arm {one.arm}")
    large = Alignment("language", tuple(range(28)), tuple(range(32)), {}, {"auc": np.full((28, 32), 0.6)})
    figure = heat_map(large, 0.3)
    assert figure.get_figwidth() < 9.5
    assert figure.axes[0].collections[0].get_clim() == (0.2, 0.8)


def test_a_chart_names_its_arms_and_follows_the_theme() -> None:
    means = [
        Mean(HOSTILE[0], "control", Estimate(18.1, 14, 22, 9, 9)),
        Mean("gaze", "treatment", Estimate(39, np.nan, np.nan, 9, 9)),
    ]
    drawn = inline_svg(means_chart(means, "right, %"), "one", "Title <b>", "; ".join(map(str, means)))
    parsed = Page(drawn)
    assert ("title", "Title <b>") in parsed.texts
    assert ("desc", f"{HOSTILE[0]} 18.1 [14.0, 22.0]; gaze 39.0") in parsed.texts
    assert ("text", HOSTILE[0]) in parsed.texts
    assert "var(--accent)" in drawn
    assert not re.search(r"#[0-9a-f]{6}|http|DejaVu", drawn)
    again = inline_svg(scale_bar(one_scale([np.array([[40.0]])])), "two", "Scale", "x")
    ids = [attributes["id"] for _, attributes in [*parsed.elements, *Page(again).elements] if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_colour_covers_what_the_model_sees_alone() -> None:
    image = np.full((20, 40, 3), 128, np.uint8)
    drawn = with_density(image, np.array([[0.0, 8.0]]), View(0.5, 0, 1, 1), one_scale([np.array([[8.0]])]))
    assert (drawn[:, :30] == drawn[0, 0]).all()
    assert drawn[0, 35, 0] > drawn[0, 35, 2] + 50
    padded = with_density(image, np.array([[8.0, 0.0]]), View(-0.5, 0, 1.5, 1), one_scale([np.array([[8.0]])]))
    assert (padded[:, :20] == padded[0, 0]).all()
    assert (padded[0, 0] != padded[0, 39]).any()


def test_points_are_drawn_where_gaze_fell() -> None:
    frame = torch.zeros(3, 30, 40, dtype=torch.uint8).numpy()
    image = resized(frame, 80)
    assert image.shape == (60, 80, 3)
    drawn = with_points(image, clip("a").gaze, 0)
    rows, columns = np.nonzero(drawn.any(-1))
    assert (rows.mean(), columns.mean()) == pytest.approx((0.3 * 60, 0.3 * 80), abs=1)


def test_a_clip_without_valid_gaze_says_so_and_keeps_its_last_frame() -> None:
    attention = compared_attention(["control", "gaze"], [clip("a")], valid=False)
    assert attention.frame_of(0) == FRAMES - 1
    maps = maps_of(attention, 0, attention.scale())
    assert [one.caption for one in maps] == ["no valid gaze", "control", "gaze"]
    assert middle_one(attention, [0], "control") == 0


def test_a_place_is_named_in_words() -> None:
    spread = np.zeros((3, 3))
    spread[0, 2] = 9
    assert place(spread) == "highest at the top right, 9.0 times an even spread"
