"""Names of others are names: to a terminal, to Markdown, to a spreadsheet."""

import re
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

import gaze_vlm
from gaze_vlm.cli import main
from gaze_vlm.foreign_text import as_code, in_csv, in_markdown, visible
from gaze_vlm.progress import say, show_warnings_plainly
from hostile_names import HOSTILE

GITHUB = MarkdownIt("gfm-like", {"linkify": False})
TEXTS = st.text(st.characters() | st.sampled_from("\\`*_[]()<>&!#|~$:/.=+-@1 \n\ta"), max_size=40)
OWN = {"paragraph", "inline", "text", "list", "bullet", "heading", "table", "thead", "tbody", "tr", "th", "td"}
any_hostile = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)


def tokens(text: str) -> list[Token]:
    return [one for token in GITHUB.parse(text) for one in (token, *(token.children or ()))]


@any_hostile
def test_markdown_reads_a_hostile_name_as_text(name: str) -> None:
    check_reads_as_text(name)


@given(TEXTS)
@example("> a")
@example("---")
@example("     a")
@example("12) a")
def test_markdown_reads_any_name_as_text(name: str) -> None:
    check_reads_as_text(name)


def check_reads_as_text(name: str) -> None:
    """In a paragraph, an item of a list, a heading and a table."""
    text = in_markdown(name)
    for before, after in (("", ""), ("- ", ""), ("# ", ", x"), ("| ", " | x |\n| --- | --- |\n| a | b |")):
        found = tokens(before + text + after)
        assert {token.type.split("_")[0] for token in found} <= OWN, text
    shown = "".join(one.content for one in tokens(f"- {text}") if one.type.startswith("text"))
    assert shown == visible(name, keep="").strip()


@given(TEXTS)
@example("a\\|b")
@example("]: x")
def test_any_text_in_a_cell_stays_what_it_is(name: str) -> None:
    table = f"| x | y |\n| --- | --- |\n| a{in_markdown(name)}b | c |\n"
    found = GITHUB.parse(table)
    cells = [found[i + 1] for i, token in enumerate(found) if token.type == "td_open"]
    assert len(cells) == 2
    assert all(one.type.startswith("text") for one in cells[0].children or ())
    assert "".join(one.content for one in cells[0].children or ()) == "a" + visible(name, keep="").strip() + "b"


def test_ordinary_names_and_figures_stay_as_they_are() -> None:
    for text in ("no-block", "language_all", "qwen2.5-vl-3b", "+16.9 [+11.7, +22.0], p < 0.001", "a & b", "61.6 ± 1.2"):
        assert in_markdown(text) == in_csv(f"x{text}")[1:] == visible(text) == text
    assert visible("नमस्ते می‌خواهم 👩‍🍳 küche") == "नमस्ते می‌خواهم 👩‍🍳 küche"  # joiners are letters' own
    assert as_code("gaze-vlm compare") == "`gaze-vlm compare`"


@given(TEXTS)
def test_code_is_code(text: str) -> None:
    found = tokens(f"- x: {as_code('a' + text + 'b')}")
    assert [one.content for one in found if one.type == "code_inline"] == ["a" + visible(text, keep="") + "b"]


@any_hostile
def test_a_spreadsheet_takes_no_name_for_a_formula(name: str) -> None:
    written = in_csv(name)
    assert not re.match(r"[=+\-@＝＋－＠\t\r\n]", written)
    assert "\n" not in written
    assert written.removeprefix("'") == visible(name, keep="")


@given(st.text(st.characters(codec=None), max_size=50))
def test_nothing_unseen_is_left(text: str) -> None:
    shown = visible(text)
    assert {unicodedata.category(one) for one in shown if one not in "\n\u200c\u200d"}.isdisjoint({"Cc", "Cf", "Cs"})
    shown.encode()


@any_hostile
def test_a_terminal_obeys_no_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line of progress, an error and a warning."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    show_warnings_plainly.cache_clear()
    say(f"begins: {name}")
    assert main(["report", f"--config={name[:100]}.yaml", f"--output={tmp_path}/page.html"]) in (1, 2)
    sys.stderr.write(warnings.formatwarning(UserWarning(name), UserWarning, "file", 1, ""))
    said = capsys.readouterr().err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", said)


def test_a_warning_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    show_warnings_plainly.cache_clear()
    show_warnings_plainly()
    ours, others = str(Path(gaze_vlm.__file__).parent / "cli.py"), "other.py"
    assert warnings.formatwarning(UserWarning("a"), UserWarning, ours, 1, "") == "warning: a\n"
    assert warnings.formatwarning(UserWarning("a"), UserWarning, others, 1, "") == "other.py:1: UserWarning: a\n"
