"""Where the frames of images and videos lie in what a model's own processor made of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gaze_vlm.attention.sources import Tower
from gaze_vlm.backbones.chat_texts import Media
from gaze_vlm.backbones.layout import Layout
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid

if TYPE_CHECKING:
    from gaze_vlm.backbones.family import ModelFamily


@dataclass(frozen=True)
class Medium:
    """An image or a video as a model reads it.

    What a model reads of it in tiles beside the whole is skipped: gaze is compared with attention on the whole view.

    Args:
        layout: of a frame group.
        tokens: visual tokens of the text.
        groups: frame groups; 0 where all of it is a tile of an image.
        skipped_tokens: tokens before those of the first group; the groups' stand one behind another.
        rows: pictures that the vision tower makes of it.
        skipped_rows: rows before that of the first group.
        is_padded: whether the processor pads it to a square.
    """

    layout: Layout
    tokens: int
    groups: int = 1
    skipped_tokens: int = 0
    rows: int = 1
    skipped_rows: int = 0
    is_padded: bool = False


@dataclass(frozen=True)
class Place:
    """Where a frame group of a batch lies.

    Args:
        sample: its row of the batch.
        media, medium: the image or video that it is of.
        position: of its first patch in the text of its sample.
        row: among the pictures of the vision tower.
    """

    sample: int
    media: Media
    medium: Medium
    position: int
    row: int

    def grid(self, tower: Tower) -> Grid:
        """Return its patches, in the vision tower or as visual tokens."""
        return self.medium.layout.vit if tower == "vision" else self.medium.layout.language


@dataclass
class VisualTokens:
    """The visual tokens of a text that are not placed yet.

    Args:
        ids: of all tokens of the text.
        positions: of the visual tokens.
        next: which of these is the next to place.
    """

    ids: Sequence[int]
    positions: Sequence[int]
    next: int = 0

    @property
    def run(self) -> int:
        """How many of the next visual tokens follow each other without another token between."""
        rest = self.positions[self.next :]
        return next((i for i, position in enumerate(rest) if position != rest[0] + i), len(rest))

    def remaining(self, id_: int) -> int:
        """Return how many of the visual tokens that are not placed yet have an id."""
        return sum(self.ids[position] == id_ for position in self.positions[self.next :])


def place_frames(family: "ModelFamily", inputs: Mapping[str, Any]) -> list[Place]:
    """Place the frame groups of a batch's images and videos, in the order of the text.

    Args:
        family: of the model.
        inputs: what the processor made: `input_ids` [batch, token], and what comes with pixels.

    Raises:
        InputError: the text ends within an image or a video.
    """
    tokens: dict[int, Media] = family.media_tokens
    media: dict[Media, list[Medium]] = {"image": [], "video": []}
    found: list[tuple[int, Media, int, int, int]] = []
    for sample, ids in enumerate(inputs["input_ids"].tolist()):
        visual = VisualTokens(ids, [position for position, id_ in enumerate(ids) if id_ in tokens])
        while visual.next < len(visual.positions):
            kind = tokens[ids[visual.positions[visual.next]]]
            medium = family.medium(kind, len(media[kind]), visual, inputs)
            first = visual.next + medium.skipped_tokens
            visual.next += medium.tokens
            if visual.next > len(visual.positions):
                raise InputError(
                    f"sample {sample} ends within the tokens of an image or a video ({len(ids)} tokens): give the "
                    "processor or collator no `max_length`, or a longer one"
                )
            patches = len(medium.layout.language)
            for group in range(medium.groups):
                found.append((sample, kind, len(media[kind]), group, visual.positions[first + group * patches]))
            media[kind].append(medium)
    rows = _first_rows(media)
    return [
        Place(sample, kind, media[kind][number], position, rows[kind][number] + group)
        for sample, kind, number, group, position in found
    ]


def _first_rows(media: Mapping[Media, Sequence[Medium]]) -> dict[Media, list[int]]:
    """The vision tower's row of the first frame group of each; all images come before all videos."""
    rows: dict[Media, list[int]] = {}
    count = 0
    for kind in ("image", "video"):
        rows[kind] = []
        for medium in media[kind]:
            rows[kind].append(count + medium.skipped_rows)
            count += medium.rows
    return rows


def alike(places: Sequence[Place], tower: Tower) -> Iterator[list[list[Place]]]:
    """Split the places of a batch into parts that fit into one tensor: samples of as many frame groups on one grid.

    The order stays: a part's samples stand one behind another.
    """
    frames = [list(group) for _, group in groupby(places, lambda place: (place.sample, place.grid(tower)))]
    for _, part in groupby(frames, lambda one: (len(one), one[0].grid(tower))):
        yield list(part)
