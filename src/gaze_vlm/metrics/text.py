"""Scores of a prediction against a target text by their words."""

from torchmetrics.functional.text import rouge_score

from gaze_vlm.formats.words import normalise, words


def exact_match(prediction: str, target: str) -> float:
    """1.0 when both are the same text apart from case, white space and forms of Unicode (NFKC), else 0.0."""
    return float(normalise(prediction) == normalise(target))


def rouge_l(prediction: str, target: str) -> float:
    """ROUGE-L F1 in [0, 1] (Lin 2004): harmonic mean of |LCS| / |prediction| and |LCS| / |target| in words.

    LCS is the longest common subsequence of the texts' `words`, which are of any script. A target without words has
    the score of an exact match. Only this variant is asked for: ROUGE-Lsum would split sentences with nltk data that
    has to be downloaded.
    """
    if not words(target):
        return exact_match(prediction, target)
    score = rouge_score(prediction, target, rouge_keys="rougeL", normalizer=str, tokenizer=words)
    return float(score["rougeL_fmeasure"])
