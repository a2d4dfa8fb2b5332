"""A view: how a frame goes into the model, for pixels and gaze together."""

from dataclasses import dataclass

from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from gaze_vlm.errors import InputError


@dataclass(frozen=True)
class Grid:
    """Patches of one frame, row-major from the top left.

    Args:
        rows: from the top.
        columns: from the left.

    Raises:
        InputError: it has no patch.

    Example:
        >>> len(Grid(24, 32))
        768
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise InputError(f"grid {self.rows}×{self.columns} has no patch: rows and columns must be at least 1")

    def __len__(self) -> int:
        return self.rows * self.columns

    def __str__(self) -> str:
        return f"{self.rows}×{self.columns}"


@dataclass(frozen=True)
class View:
    """The part of the frame that the model sees, stretched over its whole input.

    The box is in normalised frame coordinates (origin top left). The default box is the whole frame: a squash to
    the model's size, with no gaze left outside. A box inside [0, 1] is a crop; one beyond it is a padding.

    Args:
        left: side of the box, in frame widths from the frame's left.
        top: side of the box, in frame heights from the frame's top.
        right: side of the box, in frame widths from the frame's left.
        bottom: side of the box, in frame heights from the frame's top.

    Raises:
        InputError: the box is empty.

    Example:
        The middle square of a frame twice as wide as high:

        >>> import torch
        >>> View(left=0.25, right=0.75).points(torch.tensor([0.5, 0.1]))
        tensor([0.5000, 0.1000])
    """

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    def __post_init__(self) -> None:
        if not (self.left < self.right and self.top < self.bottom):
            raise InputError(f"{self} is empty: left must be below right, and top below bottom")

    def points(self, xy: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any 2"]:
        """Map points of the frame into the model's input, both normalised."""
        origin, size = xy.new_tensor([self.left, self.top]), xy.new_tensor(self.size)
        return (xy - origin) / size

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the box in frame widths and heights."""
        return self.right - self.left, self.bottom - self.top

    def pixels(
        self, frames: UInt8[Tensor, "frame 3 height width"], height_px: int, width_px: int
    ) -> UInt8[Tensor, "frame 3 height_px width_px"]:
        """Return the frames as the model sees them: RGB in [0, 255], padded with black."""
        rows, columns = frames.shape[-2:]
        top, left = round(self.top * rows), round(self.left * columns)
        height, width = round(self.bottom * rows) - top, round(self.right * columns) - left
        frames = pixels.crop(frames, top, left, height, width)  # outside the frame torchvision pads with black
        return pixels.resize(frames, [height_px, width_px], antialias=True)


WHOLE_FRAME = View()


def to_frames(images: UInt8[Tensor, "frame height width 3"]) -> UInt8[Tensor, "frame 3 height width"]:
    """Turn decoded images (channel last) into frames (channel first)."""
    return rearrange(images, "frame height width channel -> frame channel height width").contiguous()
