import math
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.formats.words import normalise, words
from gaze_vlm.metrics.texts import TEXT_SCORES, bleu, chrf, exact_match, rouge_l


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


def test_scores_of_texts_ask_for_no_download(monkeypatch):
    def refuse(*_):
        raise AssertionError("a score opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("torchmetrics.functional.text.rouge._ensure_nltk_punkt_is_downloaded", refuse)
    text = "Cut red cup. Then wash."
    assert [score(text, text) for score in TEXT_SCORES.values()] == pytest.approx([1] * len(TEXT_SCORES))


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [  # what sacrebleu 2.6 gives: BLEU(effective_order=True, tokenize="none") and CHRF(), of the texts' words
        ("cut the red cup", "cut red bowl", (0.1899589214, 0.2067670884)),
        ("pour into pot", "pour into blue pot", (0.4513864406, 0.5327563495)),
        ("whisk egg", "whisk", (0.5, 0.8155412115)),
        ("Cut cup.", "cut red cup and blue pot", (0.0956964965, 0.1275084001)),
        ("take a knife with the red cup", "take a knife with the cup", (0.6434588842, 0.8495770926)),
        ("玉ねぎを切る", "玉ねぎを洗う", (0.5081327482, 0.35)),
        ("schält Äpfel", "schält einen Apfel", (0.3032653299, 0.3859713211)),
        ("режет лук", "режет красный лук", (0.4288819425, 0.2839975403)),
        ("切", "切る", (0.3678794412, 0.5555555556)),
    ],
)
def test_bleu_and_chrf_are_sacrebleus(prediction, target, expected):
    assert (bleu(prediction, target), chrf(prediction, target)) == pytest.approx(expected, abs=1e-9)


@given(st.text("ab c切る", max_size=12), st.text("ab c切る", max_size=12))
def test_bleu_and_chrf_by_their_formulas(prediction, target):
    def ngrams(units, n):
        return [tuple(units[i : i + n]) for i in range(len(units) - n + 1)]

    def matching(said, wanted, n):
        left, found = ngrams(wanted, n), 0
        for ngram in ngrams(said, n):
            if ngram in left:
                left.remove(ngram)
                found += 1
        return found

    said, wanted = words(prediction), words(target)
    if not wanted:
        return
    product, missed, order = 1.0, 0, min(4, len(said))
    for n in range(1, order + 1):
        found, total = matching(said, wanted, n), len(ngrams(said, n))
        missed += not found
        product *= found / total if found else 1 / (2**missed * total)
    penalty = math.exp(min(0, 1 - len(wanted) / len(said))) if said else 0
    expected = penalty * product ** (1 / order) if matching(said, wanted, 1) else 0
    assert bleu(prediction, target) == pytest.approx(expected)

    said, wanted = "".join(said), "".join(wanted)
    shares = [
        (matching(said, wanted, n) / len(ngrams(said, n)), matching(said, wanted, n) / len(ngrams(wanted, n)))
        for n in range(1, 7)
        if ngrams(said, n) and ngrams(wanted, n)
    ]
    precision, recall = np.mean(shares, axis=0) if shares else (0, 0)
    expected = 5 * precision * recall / (4 * precision + recall) if precision else 0
    assert chrf(prediction, target) == pytest.approx(expected)


@pytest.mark.parametrize("score", [bleu, chrf])
def test_bleu_and_chrf_at_their_edges(score):
    for text in ("whisk", "whisk egg", "切", "切る", "X", "cut the red cup with the blue knife", "कटता है"):
        assert score(text, text) == pytest.approx(1)
    assert [score(text, "cut red cup") for text in ("", "...", "zzz 切")] == [0, 0, 0]
    assert (score("cut", "..."), score("...", "...")) == (0, 1)  # a target without words
    assert score("CUT red-cup!", "cut red cup") == pytest.approx(1)


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
        ("\u2615\ufe0f \u2764\ufe0f", ""),  # emoji, each with the mark that chooses its form
        ("1\ufe0f\u20e3 \u845b\U000e0100", "1|葛"),
        ("コーヒー2杯、〆A", "コ|ー|ヒ|ー|2|杯|〆|a"),
        ("İçiyor", "içiyor"),
    ],
)
def test_words_of_every_script(text, expected):
    assert "|".join(words(text)) == expected
    if expected:
        assert [score(text, text) for score in (rouge_l, bleu, chrf)] == pytest.approx([1, 1, 1])
        assert (rouge_l("cut red cup", text), bleu("cut red cup", text)) == (0, 0)


def test_two_emoji_share_nothing_but_what_is_not_seen():
    cup, heart = "\u2615\ufe0f", "\u2764\ufe0f"
    assert [score(heart, cup) for score in TEXT_SCORES.values()] == [0, 0, 0, 0]
    assert [score("\u2615", cup) for score in TEXT_SCORES.values()] == [1, 1, 1, 1]


@given(st.text())
def test_the_form_in_which_texts_are_compared_is_its_own(text):
    assert normalise(normalise(text)) == normalise(text)


def test_rouge_l_of_scripts_without_spaces_compares_characters():
    assert rouge_l("玉ねぎを切る", "玉ねぎを洗う") == pytest.approx(4 / 6)
    assert rouge_l("schält Äpfel", "sch lt pfel") == 0
