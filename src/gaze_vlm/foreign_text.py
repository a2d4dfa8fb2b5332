"""Names and texts of others, written so that no terminal, table or page takes them for more than text."""

import re
import unicodedata

JOINERS = "\u200c\u200d"  # stand within words of several scripts, and within emoji
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, marks that turn or hide text, halves of a letter, ends of lines
MARKS = re.compile(
    r"""
    [\\`*|~$]                       # anywhere
    | (?<![^\W_])_ | _(?![^\W_])    # emphasis; within a word it is none
    | <(?=[A-Za-z/!?])              # a tag
    | &(?=\#?\w+;)                  # a letter by its name
    | \](?=[\[(:])                  # a link
    | (?<=:)/(?=/) | (?<=www)\.     # an address, which some readers make a link of
    | ^\#{1,6}(?=\s|$) | ^[-+](?=[\s-]|$) | ^>  # a heading, a list, a quotation
    """,
    re.VERBOSE,
)
NUMBERED = re.compile(r"^(\d+)(?=[.)](?:\s|$))")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def visible(text: str, keep: str = "\n") -> str:
    r"""Return text whose unseen characters are written out, as in `\x1b`.

    So a terminal obeys none of them, and none turns, hides or ends what stands around it. Any such text has a form
    in UTF-8.

    Args:
        text: of any origin.
        keep: characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in keep or not _is_unseen(one) else _written(one) for one in text)


def in_markdown(text: str) -> str:
    """Return text that Markdown, GitHub's too, reads as itself, in one line."""
    text = MARKS.sub(lambda found: f"\\{found[0]}", visible(text, keep="").strip())
    return NUMBERED.sub(r"\1\\", text)


def as_code(text: str) -> str:
    """Return text as code within a line of Markdown."""
    text = visible(text, keep="")
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def in_csv(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, in one line.

    Where it begins like one, an apostrophe stands before it, which spreadsheets do not show.
    """
    text = visible(text, keep="")
    return f"'{text}" if text.startswith(FORMULA) else text


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in UNSEEN and character not in JOINERS


def _written(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
