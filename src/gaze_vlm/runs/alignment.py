"""Alignment: how well each head of each layer attends to gaze, as `test` writes it to alignment.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from gaze_vlm.json_files import damage_refused, member, read_json, write_json
from gaze_vlm.metrics.scores import OF_HEADS

if TYPE_CHECKING:  # which import torch; a reader need not
    from gaze_vlm.attention.sources import AttentionSource
    from gaze_vlm.metrics.attention_scores import HeadSums

FIX = "test the run again"


@dataclass(frozen=True)
class Alignment:
    """Scores of each head of each layer, means over the frames of a test that have the score.

    `source` is `block`, `vision` or `language`. `layers` and `heads` are their numbers there, from 0. `scores` and
    `frames` have `kl` (nats), `nss` (standard deviations) and `auc`, see docs/scores.md; `frames` counts.
    """

    source: str
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    frames: dict[str, int]
    scores: dict[str, Float[np.ndarray, "layer head"]]


def alignment_of(source: "AttentionSource", sums: "HeadSums") -> Alignment | None:
    """Average what a source's heads scored; None where no frame has every score."""
    if not sums.frames.all():
        return None
    layers = tuple(source.layer_numbers)
    means = (sums.sums / sums.frames[:, None]).unflatten(1, (len(layers), -1)).numpy()
    return Alignment(
        source=source.name,
        layers=layers,
        heads=tuple(source.heads) or tuple(range(means.shape[-1])),
        frames={name: int(count) for name, count in zip(OF_HEADS, sums.frames, strict=True)},
        scores=dict(zip(OF_HEADS, means, strict=True)),
    )


def write_alignment(file: Path, alignment: Alignment) -> None:
    """Write alignment.json.

    Raises:
        OutputError: the file system refused.
    """
    scores = {name: values.tolist() for name, values in alignment.scores.items()}
    write_json(file, {**vars(alignment), "scores": scores})


def read_alignment(file: Path) -> Alignment:
    """Read alignment.json.

    Raises:
        MissingFileError: there is none.
        InputError: it is damaged.
    """
    values = read_json(file, FIX)
    with damage_refused(file, FIX):
        frames = member(values, "frames", dict[str, int])
        layers, heads = (tuple(member(values, name, tuple[int, ...])) for name in ("layers", "heads"))
        return Alignment(
            source=member(values, "source", str),
            layers=layers,
            heads=heads,
            frames={name: frames[name] for name in OF_HEADS},
            scores={name: _matrix(values["scores"][name], (len(layers), len(heads))) for name in OF_HEADS},
        )


def _matrix(values: Any, shape: tuple[int, int]) -> Float[np.ndarray, "layer head"]:
    matrix = np.array(values, dtype=float)
    if matrix.shape != shape:
        raise ValueError(f"scores of {matrix.shape} where {shape} heads are listed")
    if not np.isfinite(matrix).all():
        raise ValueError("a score is not finite")
    return matrix
