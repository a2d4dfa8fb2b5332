import pytest

from gaze_vlm.formats.words import first_label
from gaze_vlm.metrics.labels import label_accuracy
from gaze_vlm.metrics.scores import score_sample

NOUNS = ("red cup", "cup", "blue pot", "pot", "cutting board")
VERBS = ("cut", "pick up", "pour into")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cut red cup", "red cup"),
        ("Cut the CUP", "cup"),
        ("cups and potted plants", None),
        ("the cup beside the red cup", "cup"),
        ("red\n cup", "red cup"),
        ("use the cutting board, then the pot", "cutting board"),
        ("", None),
        ("pot.", "pot"),
    ],
)
def test_first_label_is_the_longest_at_the_first_position(text, label):
    assert first_label(text, NOUNS) == label


def test_first_label_keeps_the_vocabulary_spelling_and_reads_no_pattern():
    assert first_label("take c++ (raw)", ["C++ (raw)"]) == "C++ (raw)"
    assert first_label("anything", []) is None
    assert first_label("anything", [""]) is None


def test_listing_the_vocabulary_scores_like_its_first_label():
    everything = " ".join(NOUNS)
    assert [label_accuracy(everything, noun, NOUNS) for noun in NOUNS] == [1, 0, 0, 0, 0]


def test_a_target_outside_the_vocabulary_is_an_error():
    with pytest.raises(ValueError, match="'bowl' is none of the data set's 5 labels"):
        label_accuracy("bowl", "bowl", NOUNS)


def test_score_sample_composes_the_scores():
    scores = score_sample("cut the red cup", "cut red cup", "cut", "red cup", VERBS, NOUNS)
    assert scores == {"exact_match": 0, "rouge_l": pytest.approx(6 / 7), "verb": 1, "noun": 1}


def test_score_sample_leaves_out_what_is_not_labelled():
    assert set(score_sample("cuts", "cuts onion", None, None, (), ())) == {"exact_match", "rouge_l"}
