"""What a user may have meant: the closest of the known names, or the closest path that is there."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question such as `; did you mean train_clips?`, or nothing.

    Args:
        name: what was given.
        known: what could have been given; of dotted names the last parts are compared too.
    """
    names = list(dict.fromkeys(known))
    folded = {one.lower(): one for one in names}
    last = name.rpartition(".")[2]
    same = [one for one in names if one.rpartition(".")[2] == last and one != name]
    close = get_close_matches(name.lower(), folded, n=1) or same[:1]
    if not close:
        in_group = [one for one in names if one.rpartition(".")[0] == name.rpartition(".")[0]]
        lasts = {one.rpartition(".")[2]: one for one in reversed(in_group or names)}  # the first of its name counts
        close = [lasts[one] for one in get_close_matches(last, lasts, n=1)]
    return f"; did you mean {folded.get(close[0], close[0])}?" if close else ""


def nearest_path(path: Path) -> str:
    """Return a question on a sibling of a missing path with a close name, or nothing."""
    path = path.absolute()
    while not path.parent.is_dir():
        path = path.parent
    siblings = {sibling.stem: sibling for sibling in path.parent.iterdir() if sibling.suffix == path.suffix}
    close = get_close_matches(path.stem, siblings, n=1)
    return f"; did you mean {siblings[close[0]]}?" if close and siblings[close[0]] != path else ""
