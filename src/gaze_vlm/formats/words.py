"""The words of texts in any script, and texts in the form in which they are compared."""

import unicodedata

import regex

# Chinese, Japanese, Thai and their like are written without spaces: each of their characters is a word. Unicode counts
# two letters of Japanese, the long vowel's in コーヒー among them, to no script.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー〆\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
# A letter keeps its marks: in Hindi or Thai they are its vowels. A mark alone, as behind an emoji, is no word.
MARK = r"\p{Mn}\p{Mc}"
WORD = regex.compile(
    rf"[{UNSPACED}][{MARK}]*|[[\p{{L}}\p{{N}}]--[{UNSPACED}]][[\p{{L}}\p{{N}}{MARK}]--[{UNSPACED}]]*", regex.VERSION1
)
INVISIBLE = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")


def normalise(text: str) -> str:
    """Return the text without case, runs of white space or invisible characters.

    The form is NFKC with case folded: "Ａ", "ﬁ" and "e" with a combining accent equal "a", "fi" and "é", and the
    Turkish "İ" is an "i". Invisible are characters of the category Cf, such as the soft hyphen, and those that Unicode
    calls default ignorable, such as what chooses the form of an emoji.
    """
    seen = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).casefold().replace("i\u0307", "i")
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def words(text: str) -> list[str]:
    """Split a text into its words: runs of letters, digits and marks, normalised.

    In scripts without spaces (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar) each character is a word.
    Everything else, the underscore and the hyphen too, separates words.
    """
    return WORD.findall(normalise(text))
