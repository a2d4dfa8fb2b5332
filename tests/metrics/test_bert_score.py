import numpy as np
import pytest
from torchmetrics.functional.text import bert_score as torchmetrics_bert_score

from gaze_vlm.errors import InputError
from gaze_vlm.metrics.bert_score import TokenEncoder, bert_score
from gaze_vlm.metrics.sentence_encoder import MiniLM

ANGLES = {"a": 0, "b": 90, "c": 60, "d": 180}


class Letters:
    """A token a letter, at an angle: an encoder whose cosines can be worked out by hand."""

    def __init__(self):
        self.calls = []

    def encode_tokens(self, sentences):
        self.calls.append(sentences)
        radians = [np.radians([ANGLES[letter] for letter in sentence]) for sentence in sentences]
        return [3 * np.stack([np.cos(angles), np.sin(angles)], axis=-1) for angles in radians]


def test_scores_worked_out_by_hand():
    score = bert_score(["ab", "a", "acc"], ["a", "ab", "b"], Letters())
    near = np.cos(np.radians(30))
    assert score.precision == pytest.approx([(1 + 0) / 2, 1, (0 + 2 * near) / 3])
    assert score.recall == pytest.approx([1, (1 + 0) / 2, near])
    assert score.f1 == pytest.approx(2 * score.precision * score.recall / (score.precision + score.recall))


def test_every_distinct_sentence_is_encoded_once():
    encoder = Letters()
    bert_score(["a", "b", "a"], ["a", "a", "c"], encoder)
    assert encoder.calls == [["a", "b", "c"]]


def test_edges():
    assert [part.shape for part in bert_score([], [], Letters())] == [(0,)] * 3
    assert bert_score(["", "a", ""], ["a", "", ""], Letters()).f1.tolist() == [0, 0, 1]
    assert bert_score(["d"], ["a"], Letters()).f1.tolist() == [0]  # their cosine is -1
    with pytest.raises(ValueError, match="2 predictions for 1 targets"):
        bert_score(["a", "b"], ["a"], Letters())

    class Flat:
        def encode_tokens(self, sentences):
            return [np.zeros(3) for _ in sentences]

    with pytest.raises(ValueError, match=r"must return a matrix \[token, dimension\] for each"):
        bert_score(["a"], ["b"], Flat())
    assert not isinstance(object(), TokenEncoder)


def test_it_equals_torchmetrics():
    """The same model through its padding, in which a cosine below 0 counts as 0; it mixes up the pairs of a list."""
    encoder = MiniLM()
    predictions = [
        "cut red cup",
        "the person is washing a blue pot",
        "schält Äpfel",
        "whisk egg",
        "take the cup",
    ]
    targets = ["slice the red cup", "wash pot", "peels apples", "whisk egg", "a knife lies beside the cup"]

    def embed(model, batch):
        return model(batch["input_ids"], batch["attention_mask"]).last_hidden_state

    score = bert_score(predictions, targets, encoder)
    for index, pair in enumerate(zip(predictions, targets, strict=True)):
        expected = torchmetrics_bert_score(
            *pair,
            model=encoder.model[0].auto_model,
            user_tokenizer=encoder.model.tokenizer,
            user_forward_fn=embed,
            max_length=32,
        )
        got = [float(part[index]) for part in score]
        assert got == pytest.approx([float(expected[name]) for name in ("precision", "recall", "f1")], abs=1e-5), pair
    assert score.f1[3] == pytest.approx(1)
    assert bert_score([""], ["cut red cup"], encoder).f1.tolist() == [0]


def test_one_pass_embeds_sentence_and_tokens(monkeypatch):
    encoder, passes = MiniLM(), []
    encode = encoder.model.encode
    monkeypatch.setattr(encoder.model, "encode", lambda new, **options: passes.extend(new) or encode(new, **options))
    (sentence,) = encoder.encode(["cut red cup"])
    (tokens,) = encoder.encode_tokens(["cut red cup"])
    assert passes == ["cut red cup"]
    assert (sentence.shape, tokens.shape) == ((384,), (3, 384))
    assert tokens.base is None  # which would keep the whole batch in memory


def test_an_embedding_that_is_not_finite_names_its_sentence():
    class Broken:
        def encode_tokens(self, sentences):
            return [np.array([[np.inf if sentence == "cut" else 1.0]]) for sentence in sentences]

    with pytest.raises(InputError, match=r"embedding of 'cut' is not finite"):
        bert_score(["cut"], ["wash"], Broken())
