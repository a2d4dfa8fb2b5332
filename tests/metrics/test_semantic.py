import socket
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaze_vlm.errors import InputError
from gaze_vlm.formats.words import normalise
from gaze_vlm.metrics.semantic import (
    MiniLM,
    default_encoder,
    embedding_scores,
    other_targets,
    semantic_floor,
    semantic_similarity,
)


class Letters:
    """Counts of letters: an encoder whose cosines can be worked out by hand."""

    def __init__(self):
        self.calls = []

    def encode(self, sentences):
        self.calls.append(sentences)
        return np.array([[s.count(letter) for letter in "abc"] for s in sentences], dtype=np.float32)


def test_cosine_of_the_embeddings():
    got = semantic_similarity(["a", "a", "ab", "aab"], ["a", "b", "a", "abb"], Letters())
    assert got == pytest.approx([1, 0, 1 / np.sqrt(2), 4 / 5])


def test_every_distinct_sentence_is_encoded_once():
    encoder = Letters()
    semantic_similarity(["a", "b", "a"], ["a", "a", "c"], encoder)
    assert encoder.calls == [["a", "b", "c"]]


def test_edges():
    assert semantic_similarity([], [], Letters()).shape == (0,)
    assert semantic_similarity(["zz"], ["a"], Letters()).tolist() == [0]
    with pytest.raises(ValueError, match="2 predictions for 1 targets"):
        semantic_similarity(["a", "b"], ["a"], Letters())

    class Flat:
        def encode(self, sentences):
            return np.zeros(3)

    with pytest.raises(ValueError, match=r"must return \[sentence, dimension\]"):
        semantic_similarity(["a"], ["b"], Flat())


@given(st.lists(st.sampled_from(["a", "A ", "b", "c", "dd"]), max_size=30))
def test_other_targets_are_a_derangement_of_the_texts(targets):
    others = other_targets(targets)
    given_ = [(other, own) for other, own in zip(others, targets, strict=True) if other is not None]
    assert all(normalise(other) != normalise(own) for other, own in given_)
    assert not Counter(other for other, _ in given_) - Counter(targets)  # none is given twice
    most = max(Counter(map(normalise, targets)).values(), default=0)
    assert others.count(None) == max(0, 2 * most - len(targets))
    assert other_targets(targets) == others


def test_the_floor_is_the_similarity_to_other_targets():
    targets = ["a", "ab", "a", "c", "b"]
    others = other_targets(targets)
    answers = ["a", "b", "c", "ab", "abc"]
    expected = semantic_similarity(answers, others, Letters())
    assert semantic_floor(answers, targets, Letters()) == pytest.approx(expected)
    floor = semantic_floor(["a", "a", "b"], ["a", "a", "b"], Letters())
    assert np.isnan(floor[:2]).sum() == 1  # one of the two has no other text
    assert np.nansum(floor) == 0
    assert np.isnan(semantic_floor(["a", "b"], ["a", "a"], Letters())).all()
    assert semantic_floor([], [], Letters()).shape == (0,)
    with pytest.raises(ValueError, match="1 predictions for 2 targets"):
        semantic_floor(["a"], ["a", "b"], Letters())


def test_scores_that_the_encoder_allows():
    assert set(embedding_scores(["a"], ["b"], Letters())) == {"semantic"}
    both = embedding_scores(["cut cup"], ["cut cup"], default_encoder())
    assert both == {"semantic": pytest.approx([1], abs=1e-5), "bert_score": pytest.approx([1])}


def test_embeddings_are_the_same_when_few_are_kept():
    sentences = ["cut red cup", "wash", "cut red cup", "slice the red cup", "take a knife"]
    expected = default_encoder().encode(sentences)
    encoder = MiniLM(kept_tokens=2, at_once=2)
    assert encoder.encode(sentences) == pytest.approx(expected, abs=1e-6)
    assert [len(tokens) for tokens in encoder.encode_tokens(sentences)] == [3, 1, 3, 4, 3]


def test_default_encoder_needs_no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the encoder opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    encoder = default_encoder()
    assert isinstance(encoder, MiniLM)
    same, near, far = semantic_similarity(
        ["cut red cup", "slice the red cup", "wash blue pot"], ["cut red cup"] * 3, encoder
    )
    assert same == pytest.approx(1, abs=1e-5)
    assert same > near > far
    texts = ["schält Äpfel", "玉ねぎを切る", "कटता है", "...", "\U0001f345"]
    assert semantic_similarity(texts, texts, encoder) == pytest.approx(np.ones(len(texts)), abs=1e-5)


def test_texts_that_the_encoder_does_not_know_are_found():
    encoder = default_encoder()
    known = ["cut red cup", "schält Äpfel", "", "..."]
    assert encoder.unknown([*known, "切菜", "cut \U0001f345"]) == ["切菜", "cut \U0001f345"]
    assert semantic_similarity(["切菜"], ["洗碗"], encoder) == pytest.approx([1], abs=1e-5)  # which is why


def test_texts_that_the_encoder_spells_are_found():
    encoder = default_encoder()
    spelled = ["режет помидор", "κόβει", "يقطع", "חותך", "काटता है", "토마토"]
    assert encoder.spelled(["cut 5 µl", "schält Äpfel", "doğruyor", "\U0001f345", *spelled]) == spelled
    assert encoder.unknown(spelled) == []
    same, other = semantic_similarity(["нарезает томаты", "моет посуду"], ["режет помидор"] * 2, encoder)
    assert same - other < 0.05  # which is why


def test_the_encoder_is_sentence_transformers_own():
    """Cosines that sentence-transformers 6.2 gave for the official model; the fifth text is cut at 256 tokens."""
    sentences = ["cut red cup", "slice the red cup", "schält Äpfel", "", "a " * 400 + "cup"]
    embedding = default_encoder().encode(sentences)
    assert np.linalg.norm(embedding, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert embedding[0] @ embedding.T == pytest.approx([1, 0.89246, 0.15941, 0.19958, 0.00500], abs=2e-5)
    assert embedding[3] @ embedding[4] == pytest.approx(0.06835, abs=2e-5)


def test_an_embedding_that_is_not_finite_names_its_sentence():
    class Broken:
        def encode(self, sentences):
            return np.array([[np.nan if sentence == "cut" else 1.0] for sentence in sentences])

    with pytest.raises(InputError, match=r"embedding of 'cut' is not finite"):
        semantic_similarity(["wash", "cut"], ["wash", "wash"], Broken())
