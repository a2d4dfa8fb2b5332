"""The verb and noun labels that a text names: one rule for narrations, annotations and answers."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from lemminflect import getAllLemmas

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.text_files import read_lines
from gaze_vlm.formats.words import normalise, words

Kind = Literal["VERB", "NOUN"]
SYNONYMS = re.compile(r"([^()]+)\(([^()]*)\)\s*")
COMMA = re.compile("[,、،]")


class Named(NamedTuple):
    """A label and the words that name it: `start` up to, not including, `end`."""

    start: int
    end: int
    label: str


class Form(NamedTuple):
    """One way to write a label; its name has rank 0, a part or synonym of it 1, `place` is its order."""

    words: tuple[str, ...]
    rank: int
    place: int
    label: str


@lru_cache(maxsize=2**16)
def lemmas(word: str, kind: Kind) -> frozenset[str]:
    """Return a word and its lemmas as a verb or as a noun.

    A form can have several: as a noun, "leaves" is one of "leave" and one of "leaf". The dictionary knows some words,
    "pan" for one, as verbs only: an ending in s is then read as it would be there, for a plural and a third person are
    spelled alike. English only; another language's words are their own lemmas.
    """
    known: dict[str, tuple[str, ...]] = getAllLemmas(word)
    if kind not in known and word.endswith("s"):
        return frozenset((word, *(lemma for others in known.values() for lemma in others)))
    return frozenset((word, *known.get(kind, ())))


def label_forms(label: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the ways to write a label, as words, with their rank.

    "divide/pull apart" is also either of the two. "cut (trim, slice)", as Ego4D's taxonomy has it, is "cut", and
    "trim" and "slice" are its synonyms. Slash, parentheses and comma may be those of other scripts.
    """
    label = normalise(label)  # where （／，） are (/,)
    yield tuple(words(label)), 0
    listed = SYNONYMS.fullmatch(label)
    name = listed[1] if listed else label
    yield tuple(words(name)), 0
    for part in name.split("/"):
        yield tuple(words(part)), 1
    for synonym in COMMA.split(listed[2]) if listed else ():
        yield tuple(words(synonym)), 1


class LabelFinder:
    """The labels of one kind, looked for in texts.

    Args:
        labels: of a data set.
        kind: as what their words are inflected.
    """

    def __init__(self, labels: Sequence[str], kind: Kind) -> None:
        self.kind: Kind = kind
        self.spelling = {normalise(label): label for label in reversed(labels)}
        self.forms: dict[str, list[Form]] = {}
        for place, label in enumerate(labels):
            for written, rank in dict.fromkeys(label_forms(label)):
                for lemma in lemmas(written[0], kind) if written else ():
                    self.forms.setdefault(lemma, []).append(Form(written, rank, place, label))

    def spelled(self, label: str) -> str | None:
        """Return a label as the vocabulary spells it, None if it lacks the label."""
        return self.spelling.get(normalise(label))

    def named(self, text: str) -> list[Named]:
        """Find the labels that a text names in any inflection, none inside another.

        Of labels that begin at one word the longest counts, then one that is written just so, then a name before a
        part or synonym, then the first of the vocabulary.
        """
        said = words(text)
        found: list[Named] = []
        start = 0
        while start < len(said):
            candidates = {form for lemma in lemmas(said[start], self.kind) for form in self.forms.get(lemma, ())}
            matching = [form for form in candidates if self._is_at(said, start, form.words)]
            if not matching:
                start += 1
                continue
            best = min(matching, key=lambda form: self._preference(said, start, form))
            found.append(Named(start, start + len(best.words), best.label))
            start += len(best.words)
        return found

    def _is_at(self, said: Sequence[str], start: int, written: Sequence[str]) -> bool:
        end = start + len(written)
        return end <= len(said) and all(
            a == b or not lemmas(a, self.kind).isdisjoint(lemmas(b, self.kind))
            for a, b in zip(said[start:end], written, strict=True)
        )

    @staticmethod
    def _preference(said: Sequence[str], start: int, form: Form) -> tuple[int, bool, int, int]:
        literal = tuple(said[start : start + len(form.words)]) == form.words
        return -len(form.words), not literal, form.rank, form.place


class Vocabulary:
    """The verb and noun labels of a data set, as a text names them.

    Use `vocabulary`, which keeps them.

    Args:
        verbs: verb labels, none where the data set has none.
        nouns: noun labels, in the same form.
    """

    def __init__(self, verbs: Sequence[str], nouns: Sequence[str]) -> None:
        self.verbs = LabelFinder(verbs, "VERB")
        self.nouns = LabelFinder(nouns, "NOUN")

    def verb(self, text: str) -> str | None:
        """Return the first verb label that a text names, None if there is none."""
        return next((named.label for named in self.verbs.named(text)), None)

    def noun(self, text: str) -> str | None:
        """Return the first noun label that a text names, None if there is none."""
        return next(iter(self.named_nouns(text)), None)

    def named_nouns(self, text: str) -> tuple[str, ...]:
        """Return the noun labels that a text names, each once, in their order.

        The word that is the text's verb is no noun where the text has another: "brushes the floor" names the floor
        and no brush, "a paint brush" names a brush.
        """
        nouns = self.nouns.named(text)
        verb = next(iter(self.verbs.named(text)), None)
        others = [noun for noun in nouns if verb is None or noun.start != verb.start or noun.end > verb.end]
        return tuple(dict.fromkeys(noun.label for noun in others or nouns))


def read_word_list(path: Path) -> tuple[str, ...]:
    """Read labels from a text file, one a line, synonyms in parentheses: "cup (mug, glass)".

    Raises:
        MissingFileError: there is no such file.
        InputError: it is not UTF-8, has no label, or one without a letter or digit, which no text can name.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} is missing: write the words to it, one a line")
    listed = tuple(dict.fromkeys(line.strip() for line in read_lines(path) if line.strip()))
    if not listed:
        raise InputError(f"{path} has no word: write the words to it, one a line")
    if unnamed := [label for label in listed if not words(label)]:
        raise InputError(f"{path}: {unnamed[0]!r} has no letter or digit, so no text can name it: write it in words")
    return listed


@lru_cache(maxsize=16)
def vocabulary(verbs: tuple[str, ...], nouns: tuple[str, ...]) -> Vocabulary:
    """Return the vocabulary of these labels; the same object for the same labels."""
    return Vocabulary(verbs, nouns)
