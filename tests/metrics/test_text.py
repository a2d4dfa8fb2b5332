import socket

import pytest

from gaze_vlm.formats.words import words
from gaze_vlm.metrics.scores import exact_match, rouge_l


def longest_common_subsequence(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common_subsequence(a[1:], b[1:])
    return max(longest_common_subsequence(a[1:], b), longest_common_subsequence(a, b[1:]))


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ("cut red cup", "cut red cup"),
        ("cut the red cup", "cut red bowl"),
        ("cup red cut", "cut red cup"),
        ("wash", "pour into blue pot"),
    ],
)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence(prediction, target):
    a, b = prediction.split(), target.split()
    common = longest_common_subsequence(a, b)
    assert rouge_l(prediction, target) == pytest.approx(2 * common / (len(a) + len(b)))


def test_rouge_l_of_an_empty_prediction_is_zero():
    assert rouge_l("", "cut red cup") == 0
    assert rouge_l("...", "cut red cup") == 0
    assert rouge_l("cut red cup", "...") == 0
    assert rouge_l("...", "...") == 1  # a target without words


def test_rouge_l_asks_for_no_download(monkeypatch):
    def refuse(*_):
        raise AssertionError("rouge_l opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("torchmetrics.functional.text.rouge._ensure_nltk_punkt_is_downloaded", refuse)
    assert rouge_l("Cut red cup. Then wash.", "Cut red cup. Then wash.") == pytest.approx(1)


def test_exact_match_ignores_case_and_white_space_only():
    assert exact_match("  Cut \n red  CUP ", "cut red cup") == 1
    assert exact_match("cut red cups", "cut red cup") == 0
    assert exact_match("", "cut") == 0


def test_exact_match_ignores_forms_of_unicode():
    assert exact_match("SCHÄLT A\u0308PFEL", "schält Äpfel") == 1
    assert exact_match("ﬁllet Ａ", "fillet a") == 1
    assert exact_match("STRASSE", "Straße") == 1
    assert exact_match("cut\u00adting\u00a0board", "cutting board") == 1
    assert exact_match("schält Äpfel", "sch lt pfel") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Schält Äpfel, 2 Stück", "schält|äpfel|2|stück"),
        ("cutting_board put-down", "cutting|board|put|down"),
        ("C's café", "c|s|café"),
        ("玉ねぎを切る。", "玉|ね|ぎ|を|切|る"),
        ("バターを塗る", "バ|タ|ー|を|塗|る"),
        ("양파를 썬다", "양파를|썬다"),
        ("वह प्याज काटता है", "वह|प्याज|काटता|है"),
        ("ตัดไม้", "ตั|ด|ไ|ม้"),
        ("режет лук", "режет|лук"),
        ("يقطع البصل", "يقطع|البصل"),
        ("? \U0001f345", ""),
    ],
)
def test_words_of_every_script(text, expected):
    assert "|".join(words(text)) == expected
    if expected:
        assert rouge_l(text, text) == 1
        assert rouge_l("cut red cup", text) == 0


def test_rouge_l_of_scripts_without_spaces_compares_characters():
    assert rouge_l("玉ねぎを切る", "玉ねぎを洗う") == pytest.approx(4 / 6)
    assert rouge_l("schält Äpfel", "sch lt pfel") == 0
