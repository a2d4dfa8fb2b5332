"""Scores of an answer's text against the target's, of any script; none downloads anything."""

from collections import Counter
from collections.abc import Callable

from gaze_vlm.formats.words import normalise, words

BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2


def exact_match(prediction: str, target: str) -> float:
    """Return 1.0 for the same text, else 0.0.

    Case, white space and forms of Unicode (NFKC) do not count.
    """
    return float(normalise(prediction) == normalise(target))


def rouge_l(prediction: str, target: str) -> float:
    """Return ROUGE-L F1 in [0, 1] (Lin 2004).

    It is the harmonic mean of |LCS| / |prediction| and |LCS| / |target| in words. LCS is the longest common subsequence
    of the texts' `words`, which are of any script. A target without words has the score of an exact match. Only this
    variant is asked for: ROUGE-Lsum would split sentences with nltk data that has to be downloaded.
    """
    from torchmetrics.functional.text import rouge_score  # imports torch

    if not words(target):
        return exact_match(prediction, target)
    score = rouge_score(prediction, target, rouge_keys="rougeL", normalizer=str, tokenizer=words)
    return float(score["rougeL_fmeasure"])


def bleu(prediction: str, target: str) -> float:
    """Return the BLEU-4 of a sentence in [0, 1] (Papineni et al. 2002).

    It is BP · (p₁ · … · pₙ)^(1/N). pₙ is the share of the prediction's n-grams that the target has, each at most as
    often as there. BP = exp(min(0, 1 − |target| / |prediction|)). Two choices for short texts are those of sacrebleu
    (Post 2018): N is 4, or the number of the prediction's words where that is less (effective order); and where no
    n-gram of an order matches, its pₙ is 1 / (2ᵏ · number of n-grams), for the k-th such order (method 3 of Chen and
    Cherry 2014). Without a common word BLEU is 0. A target without words has the score of an exact match.
    """
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu  # takes a third of a second

    said, wanted = words(prediction), words(target)
    if not wanted:
        return exact_match(prediction, target)
    if not said:
        return 0.0
    order = min(BLEU_ORDER, len(said))
    return float(sentence_bleu([wanted], said, [1 / order] * order, SmoothingFunction().method3))


def chrf(prediction: str, target: str) -> float:
    """Return chrF2 in [0, 1] (Popović 2015).

    It is (1 + β²) · P · R / (β² · P + R) with β = 2. P and R are the shares of the prediction's and the target's
    character n-grams that match, means over n = 1 … 6. Orders for which one of the texts is too short are left out,
    as sacrebleu does. Characters are those of `words`, without what separates them. A target without words has the
    score of an exact match.
    """
    said, wanted = "".join(words(prediction)), "".join(words(target))
    if not wanted:
        return exact_match(prediction, target)
    orders = range(1, min(CHRF_ORDER, len(said), len(wanted)) + 1)
    precision = recall = 0.0
    for n in orders:
        of_said, of_wanted = _ngrams(said, n), _ngrams(wanted, n)
        matching = (of_said & of_wanted).total()
        precision += matching / of_said.total() / len(orders)
        recall += matching / of_wanted.total() / len(orders)
    if precision + recall == 0:
        return 0.0
    return (1 + CHRF_BETA**2) * precision * recall / (CHRF_BETA**2 * precision + recall)


TEXT_SCORES: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "rouge_l": rouge_l,
    "bleu": bleu,
    "chrf": chrf,
}
"""The scores of a prediction and its target that need no model."""


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[start : start + n] for start in range(len(text) - n + 1))
