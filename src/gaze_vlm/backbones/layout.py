"""How a frame lies in a model, and which frame sizes are legal."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import Grid, View


@dataclass(frozen=True)
class Layout:
    """How a frame group lies in the model.

    A group is one frame, whose gaze meets its own attention, or the frames that the vision tower takes as one. Their
    gaze is averaged.

    Args:
        vit: patches of the vision tower, which its layers attend over.
        language: visual tokens that the projector makes of a frame, which the block attends over.
        covered: share of a frame's width and height, from the top left, that the tokens see.
        frames_per_group: frames that the vision tower takes as one.
    """

    vit: Grid
    language: Grid
    covered: float = 1.0
    frames_per_group: int = 1


def square_layout(image_px: int, patch_px: int, pooled: int) -> Layout:
    """Lay out a square vision tower.

    `pooled` × `pooled` of its patches make a visual token. Patches need not fill the image: SigLIP's 384 px are no
    multiple of 14.
    """
    side = image_px // patch_px
    tokens = ceil(side / pooled)
    return Layout(vit=Grid(side, side), language=Grid(tokens, tokens), covered=side * patch_px / image_px)


def covered_part(view: View, covered: float) -> View:
    """Return the share of a view that a layout's tokens see, from its top left."""
    width, height = (side * covered for side in view.size)
    return View(view.left, view.top, view.left + width, view.top + height)


def processed_view(processor: Any, aspect: float, is_padded: bool = False) -> View:
    """Return the part of a frame that an image or video processor leaves: resized, then cropped about the middle.

    Args:
        processor: of `transformers`, with its `size`, `crop_size`, `do_resize` and `do_center_crop`.
        aspect: the frame's width over its height.
        is_padded: whether the frame is padded to a square first.

    Raises:
        InputError: it crops without resizing, so that what it leaves depends on the frame's size.
    """
    view = View()
    if is_padded:
        beyond_x, beyond_y = (max(1.0, 1 / aspect) - 1) / 2, (max(1.0, aspect) - 1) / 2
        view, aspect = View(-beyond_x, -beyond_y, 1 + beyond_x, 1 + beyond_y), 1.0
    if not getattr(processor, "do_center_crop", None):
        return view
    if not processor.do_resize:
        raise InputError(
            "the image processor crops and does not resize: set its do_resize, or leave out do_center_crop"
        )
    size, crop = processor.size, processor.crop_size
    if "shortest_edge" in size:
        width, height = (int(size["shortest_edge"] * max(1.0, ratio)) for ratio in (aspect, 1 / aspect))
    else:
        width, height = size["width"], size["height"]
    left, top = (int((side - crop[name]) / 2) for side, name in ((width, "width"), (height, "height")))
    corner, (view_width, view_height) = (view.left, view.top), view.size
    return View(
        corner[0] + view_width * left / width,
        corner[1] + view_height * top / height,
        corner[0] + view_width * (left + crop["width"]) / width,
        corner[1] + view_height * (top + crop["height"]) / height,
    )


def check_frame_size(size_px: tuple[int, int], own_px: tuple[int, int], unit_px: int | None, checkpoint: str) -> None:
    """Refuse a frame size that the model cannot take, and name those that it can.

    Args:
        size_px: the size asked for.
        own_px: the model's own, the only legal one where there is no unit.
        unit_px: heights and widths that are multiples of it are legal.
        checkpoint: the model, for the message.

    Raises:
        InputError: another size.
    """
    height, width = size_px
    if unit_px is None and size_px != own_px:
        own = "×".join(map(str, own_px))
        raise InputError(f"frame_size_px {height}×{width}: {checkpoint} takes {own} alone, leave it out")
    if unit_px is not None and (height < unit_px or width < unit_px or height % unit_px or width % unit_px):
        near = "×".join(str(max(1, round(side / unit_px)) * unit_px) for side in size_px)
        raise InputError(f"frame_size_px {height}×{width}: both must be multiples of {unit_px}, the nearest is {near}")


@lru_cache
def sequence_positions(grid: Grid, merge: int, window: int) -> list[int]:
    """Find the place of each patch of a frame in Qwen's vision sequence.

    The sequence runs by windows, within a window by blocks of merged patches, within a block by patches, each row by
    row from the top left.

    Args:
        grid: patches of a frame.
        merge: patches that a visual token is merged of, along a side.
        window: patches of a window along a side.

    Returns:
        The position of each patch, row-major over the grid.
    """
    window = window // merge * merge  # whole blocks
    patches = [(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    sequence = sorted(patches, key=lambda at: [at[i] // size for size in (window, merge, 1) for i in (0, 1)])
    position = {patch: i for i, patch in enumerate(sequence)}
    return [position[patch] for patch in patches]
