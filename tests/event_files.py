"""What a run's TensorBoard event files hold."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def events(folder: Path) -> list[Event]:
    """All events, of the files in the order in which they were begun."""
    return [event for file in sorted(folder.iterdir()) for event in _of(file.read_bytes())]


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The curves that TensorBoard shows: of each name, the value at each step.

    A file takes the place of what earlier ones have from the step of its START on.
    """
    curves: dict[str, dict[int, float]] = {}
    for event in events(folder):
        if event.HasField("session_log"):
            curves = {name: {s: v for s, v in of.items() if s < event.step} for name, of in curves.items()}
        for value in event.summary.value:
            if value.HasField("simple_value"):
                curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return curves


def _of(content: bytes) -> Iterator[Event]:
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
