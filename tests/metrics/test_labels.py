from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.errors import InputError
from gaze_vlm.formats.vocabulary import read_word_list, vocabulary
from gaze_vlm.metrics.scores import SCORES, hallucination, label_scores, score_sample
from gaze_vlm.metrics.texts import TEXT_SCORES

NOUNS = (
    "red cup",
    "cup",
    "blue pot",
    "pot",
    "cutting board",
    "tomato",
    "pan",
    "knife (knife, machete)",
    "brush",
    "leaf",
)
VERBS = (
    "cut (trim, slice)",
    "pick up",
    "pour into",
    "divide/pull apart",
    "mix",
    "take",
    "turn on",
    "put down",
    "brush",
)
LABELS = vocabulary(VERBS, NOUNS)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cut red cup", "red cup"),
        ("Cut the CUP", "cup"),
        ("cups and pots", "cup"),
        ("potted plants", None),
        ("the cup beside the red cup", "cup"),
        ("red\n cup", "red cup"),
        ("use the cutting_board, then the pot", "cutting board"),
        ("slices tomatoes", "tomato"),
        ("the pans", "pan"),
        ("the panel", None),
        ("", None),
        ("pot.", "pot"),
        ("takes two knives", "knife (knife, machete)"),
        ("the machete", "knife (knife, machete)"),
        ("tea leaves", "leaf"),
        ("brushes the pan", "pan"),
        ("a brush", "brush"),
    ],
)
def test_the_noun_is_the_longest_at_the_first_position_in_any_inflection(text, label):
    assert LABELS.noun(text) == label


@pytest.mark.parametrize(
    ("texts", "label"),
    [
        ("cut; cuts; is cutting; Cutting; has cut; slices; trimmed", "cut (trim, slice)"),
        ("picks up; picked up; picking up", "pick up"),
        ("divides; pulling apart; Divide/Pull Apart", "divide/pull apart"),
        ("mix; mixes; mixed; mixing", "mix"),
        ("takes; took; taken; taking", "take"),
        ("turn-on; turned on", "turn on"),
        ("put-down; puts down; putting down", "put down"),
        ("picks; turns; the cutlery; mixture", None),
    ],
)
def test_the_verb_is_read_in_any_inflection(texts, label):
    assert {LABELS.verb(f"{text} the tomato") for text in texts.split("; ")} == {label}


def test_forms_that_several_labels_share():
    assert vocabulary(("see", "saw"), ()).verb("saw the plank") == "saw"  # as it is written
    assert vocabulary(("see",), ()).verb("saw a cup") == "see"
    assert vocabulary(("put (leave)", "leave"), ()).verb("leaves the room") == "leave"  # a name before a synonym
    assert vocabulary((), ("cup/mug", "cup")).noun("takes a cup") == "cup"  # a name before a part of one
    assert vocabulary((), ("leave", "leaf")).noun("leaves") == "leave"  # the first of the vocabulary


def test_the_vocabulary_keeps_its_spelling_and_is_no_pattern():
    assert vocabulary((), ("C++ [raw]",)).noun("take c++ [RAW]") == "C++ [raw]"
    assert vocabulary((), ()).noun("anything") is None
    assert vocabulary((), ("", "?")).noun("anything?") is None
    assert vocabulary((), ("Äpfel", "玉ねぎ")).named_nouns("玉ねぎを切る, schält A\u0308pfel") == ("玉ねぎ", "Äpfel")
    assert vocabulary((), ("コーヒー",)).noun("コーヒー2杯を入れる") == "コーヒー"


@pytest.mark.parametrize("label", ["杯子（马克杯，玻璃杯）", "杯子 (马克杯、玻璃杯)", "杯子／马克杯"])
def test_synonyms_are_parted_by_the_signs_of_their_script(label):
    assert {vocabulary((), (label,)).noun(text) for text in ("拿马克杯", "拿杯子")} == {label}


def test_an_object_that_no_text_can_name_is_refused(tmp_path):
    (tmp_path / "objects.txt").write_text("cup\n\u2615\ufe0f\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"'\u2615\ufe0f' has no letter or digit, so no text can name it"):
        read_word_list(tmp_path / "objects.txt")


def test_scores_of_labels():
    def nouns(prediction):
        scores = label_scores(prediction, None, "cup", ("tomato",), LABELS)
        return [scores[name] for name in ("noun", "noun_any", "noun_absent")]

    assert nouns("cup") == [1, 1, 0]
    assert nouns("the cups beside the tomato") == [1, 1, 0]
    assert nouns("the tomato beside the cup") == [0, 1, 0]
    assert nouns("cup, pot and pan") == [1, 1, 1]
    assert nouns("the red cup") == [0, 0, 1]
    assert nouns("nothing") == [0, 0, 0]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (("cup", "pot", "pan"), {"noun_absent": 1, "nouns_named": 3, "chair_i": 2 / 3}),
        (("pan",), {"noun_absent": 1, "nouns_named": 1, "chair_i": 1}),
        (("cup",), {"noun_absent": 0, "nouns_named": 1, "chair_i": 0}),
        ((), {"noun_absent": 0, "nouns_named": 0}),
    ],
)
def test_hallucination_worked_out_by_hand(named, expected):
    assert hallucination(named, {"cup", "tomato"}) == pytest.approx(expected)


def test_hallucination_needs_something_annotated_but_no_labelled_target():
    assert label_scores("a cup and a pan", None, None, (), LABELS) == {}
    scores = label_scores("a cup, cups and a pan", None, None, ("Cup",), LABELS)
    assert scores == {"noun_absent": 1, "nouns_named": 2, "chair_i": 1 / 2}
    assert label_scores("", None, None, ("cup",), LABELS) == {"noun_absent": 0, "nouns_named": 0}


def test_listing_the_vocabulary_scores_like_its_first_label_and_names_what_is_absent():
    everything = " ".join(NOUNS)
    scores = [label_scores(everything, None, noun, (noun,), LABELS) for noun in NOUNS]
    assert [score["noun"] for score in scores] == [1] + [0] * (len(NOUNS) - 1)
    assert {(score["noun_any"], score["noun_absent"]) for score in scores} == {(1.0, 1.0)}


def test_a_target_outside_the_vocabulary_is_left_out():
    assert label_scores("bowl", "transfer", "bowl", ("bowl",), LABELS) == {}


def test_score_sample_composes_the_scores():
    scores = score_sample("cuts the red cup", "cut red cup", VERBS[0], "red cup", (), LABELS)
    expected = {"exact_match": 0, "rouge_l": 4 / 7, "verb": 1, "noun": 1, "noun_any": 1, "noun_absent": 0}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_score_sample_leaves_out_what_is_not_labelled():
    scores = score_sample("cuts", "cuts onion", None, None, (), vocabulary((), ()))
    assert scores.keys().isdisjoint({"verb", "noun", "noun_any", "noun_absent"})


@pytest.mark.parametrize("answer", ["", " \n", "...", "\u00ad"])
def test_an_answer_without_words_scores_0(answer):
    scores = score_sample(answer, "cut red cup", VERBS[0], "red cup", ("pan",), LABELS)
    labels = {"verb": 0, "noun": 0, "noun_any": 0, "noun_absent": 0, "nouns_named": 0}
    assert scores == dict.fromkeys(TEXT_SCORES, 0) | labels


INFLECTED = {  # base, third person, -ing form, past, participle; singular and plural
    "cut": "cut cuts cutting cut cut",
    "mix": "mix mixes mixing mixed mixed",
    "take": "take takes taking took taken",
    "wash": "wash washes washing washed washed",
    "dry": "dry dries drying dried dried",
    "open": "open opens opening opened opened",
    "put": "put puts putting put put",
    "peel": "peel peels peeling peeled peeled",
    "close": "close closes closing closed closed",
    "shake": "shake shakes shaking shook shaken",
    "stir": "stir stirs stirring stirred stirred",
    "break": "break breaks breaking broke broken",
}
PLURALS = {"tomato": "tomatoes", "knife": "knives", "dish": "dishes", "loaf": "loaves", "egg": "eggs", "cup": "cups"}
COMMON = vocabulary(tuple(INFLECTED), tuple(PLURALS))


def test_every_form_of_common_verbs_and_nouns():
    read = {(verb, form): COMMON.verb(f"C {form} it") for verb, forms in INFLECTED.items() for form in forms.split()}
    assert {key: verb for key, verb in read.items() if verb != key[0]} == {}
    assert {noun: COMMON.noun(f"two {plural}") for noun, plural in PLURALS.items()} == {noun: noun for noun in PLURALS}


@given(
    st.sampled_from(sorted(INFLECTED)),
    st.integers(0, 4),
    st.lists(st.sampled_from([*PLURALS, *PLURALS.values()]), min_size=1, max_size=4, unique=True),
    st.sampled_from(["{} the {}", "C is {} {}", "{} {}.", "Has {}: a {}!"]),
)
def test_a_text_scores_best_against_itself(verb, form, nouns, pattern):
    text = pattern.format(INFLECTED[verb].split()[form], " and the ".join(nouns))
    named = COMMON.named_nouns(text)
    scores = score_sample(text, text, COMMON.verb(text), named[0], named, COMMON)
    of_target = {name: SCORES[name].of_target for name in scores if SCORES[name].of_target is not None}
    assert {name: scores[name] for name in of_target} == pytest.approx(of_target)
    assert scores.keys() >= {"exact_match", "rouge_l", "verb", "noun", "noun_any", "noun_absent"}


def test_the_order_of_the_vocabulary_does_not_matter():
    verbs, nouns = ("cut", "pick up", "pick"), ("cup", "red cup", "pan")
    for one, other in product([verbs, verbs[::-1]], [nouns, nouns[::-1]]):
        labels = vocabulary(one, other)
        assert (labels.verb("picks up cups"), labels.named_nouns("red cups, pans")) == ("pick up", ("red cup", "pan"))
