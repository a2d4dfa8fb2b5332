"""Ways to damage a file: as bytes, as lines, as the values of JSON and YAML. Each is drawn by one seed."""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import yaml

NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**400, 1e308, 1e-320, -0.0, 0.5, float("nan"), float("inf"))
TEXTS = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "../../a",
        "/etc/passwd",
        "\x1b[2J",
        "\ud800",
        "\u202e",
        "é",
        "𝟘",
        "٣",
        "nan",
        "inf",
        "1e999",
    ),
    *("=1+1", "<b>", "null", "-", "1_000", "0x10", "%s", "{0}", "a" * 100_000, "9" * 5000, ":", ";", ",", "\t", "\n"),
)
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
OTHERS = (None, True, False, [], {}, [[]], {"": {}}, [None], {"a": 1}, DEEP, [0] * 1000)
PIECES = (b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b'"', b"'", b"{", b"[", b"}", b"]", b",", b";", b"\t", b"\n")
PIECES += (b"\r", b"-", b"1" * 400, b"nan", b"inf", b"1e999", b"9" * 5000, b"[" * 3000, b"/", b"../", b"\xed\xa0\x80")


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bits flipped, a part cut, doubled or overwritten, pieces put in, numbers replaced."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 64, 1000)))
        way = rng.randrange(7)
        if way == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            del data[at : len(data) if rng.random() < 0.5 else end]
        elif way == 2:
            data[at:at] = data[at:end] * rng.choice((1, 2, 50))
        elif way == 3:
            data[at:end] = rng.randbytes(end - at)
        elif way == 4:
            data[at:at] = rng.choice(PIECES)
        elif way == 5:
            data[at:end] = rng.choice((b"\0", b"\xff", b"\x7f")) * (end - at)
        else:
            data[at:end] = (rng.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1))).to_bytes(8, "little")
    return bytes(data)


def damaged_lines(content: bytes, rng: random.Random) -> bytes:
    """A field of a line of text is another, or lines are left out, doubled or in another order."""
    lines = content.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 5))):
        if not lines:
            break
        at = rng.randrange(len(lines))
        way = rng.randrange(6)
        if way < 3:
            separator = max((b"\t", b",", b";", b" "), key=lines[at].count)
            fields = lines[at].split(separator)
            value = rng.choice((*NUMBERS, *TEXTS))
            text = f"{value:.400g}" if isinstance(value, float) else str(value)
            fields[rng.randrange(len(fields))] = text.encode("utf-8", "surrogatepass")
            lines[at] = separator.join(fields)
        elif way == 3:
            del lines[at]
        elif way == 4:
            lines.insert(at, lines[rng.randrange(len(lines))])
        else:
            rng.shuffle(lines)
    return b"".join(lines)


def damaged_values(value: Any, rng: random.Random) -> Any:
    """One place in plain values is of another type, huge, gone, or there once more."""
    places: list[tuple[Any, Any]] = []

    def visit(part: Any) -> None:
        items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, inner in list(items)[:200]:
            places.append((part, key))
            visit(inner)

    visit(value)
    if not places:
        return deepcopy(rng.choice((*NUMBERS, *TEXTS, *OTHERS)))
    parent, key = rng.choice(places)
    way = rng.randrange(8)
    if way == 0:
        del parent[key]
    elif way == 1 and isinstance(parent, dict):
        parent[rng.choice(TEXTS)] = parent.pop(key)
    elif way == 2 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), deepcopy(parent[key]))
    else:
        parent[key] = deepcopy(rng.choice((*NUMBERS, *TEXTS, *OTHERS)))
    return value


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    """JSON with another value somewhere, or a key twice, or damaged as lines or bytes."""
    way = rng.randrange(6)
    if way < 4:
        lines = content.split(b"\n")
        of_lines = len([line for line in lines if line.strip()]) > 1 and content.lstrip()[:2] != b"{\n"
        at = rng.choice([i for i, line in enumerate(lines) if line.strip()]) if of_lines else 0
        value = json.loads(lines[at] if of_lines else content)
        for _ in range(rng.choice((1, 1, 3))):
            value = damaged_values(value, rng)
        text = json.dumps(value).encode()
        if way == 3:
            text = text.replace(b"{", b'{"dataset": 1, "arm": 1, "split": 1, ', 1)  # read twice: the last one counts
        return b"\n".join([*lines[:at], text, *lines[at + 1 :]]) if of_lines else text
    return damaged_bytes(content, rng) if way == 4 else damaged_lines(content, rng)


def damaged_yaml(content: bytes, rng: random.Random) -> bytes:
    """YAML with another value somewhere, a tag, an anchor in itself, or damaged as bytes."""
    way = rng.randrange(6)
    if way < 3:
        return yaml.safe_dump(damaged_values(yaml.safe_load(content), rng), allow_unicode=False).encode()
    if way == 3:
        code = ("!!python/object/apply:os.system [exit 1]", "&a [*a]", "!!binary x", "{? {a: b} : c}", "*a", "- " * 300)
        lines = content.split(b"\n")
        at = rng.randrange(len(lines))
        lines[at] = lines[at].partition(b":")[0] + b": " + rng.choice(code).encode()
        return b"\n".join(lines)
    return damaged_lines(content, rng) if way == 4 else damaged_bytes(content, rng)


def damaged_text(content: bytes, rng: random.Random) -> bytes:
    """A table or text, damaged as lines mostly."""
    return damaged_lines(content, rng) if rng.random() < 0.7 else damaged_bytes(content, rng)


Damage = Callable[[bytes, random.Random], bytes]
