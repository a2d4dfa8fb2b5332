"""The words of texts in any script, and texts in the form in which they are compared."""

import unicodedata

import regex

# Chinese, Japanese, Thai and their like are written without spaces: each of their characters is a word.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
# A letter keeps its marks: in Hindi or Thai they are its vowels.
WORD = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[{UNSPACED}]]+", regex.VERSION1)


def normalise(text: str) -> str:
    """Return the text without case, runs of white space or invisible characters.

    The form is NFKC with case folded: "Ａ", "ﬁ" and "e" with a combining accent equal "a", "fi" and "é". Characters
    of the category Cf, such as the soft hyphen, are removed.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(letter for letter in folded if unicodedata.category(letter) != "Cf").split())


def words(text: str) -> list[str]:
    """Split a text into its words: runs of letters, digits and marks, normalised.

    In scripts without spaces (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar) each character is a word.
    Everything else, the underscore and the hyphen too, separates words.
    """
    return WORD.findall(normalise(text))
