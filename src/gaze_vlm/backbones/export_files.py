"""What an export has beside the files of `transformers` and peft."""

from dataclasses import dataclass

from gaze_vlm.ranges import above_zero

SETTINGS = "gaze_vlm.json"  # how frames go in, and what the model was trained on
BLOCK = "gaze_block.safetensors"


@dataclass(frozen=True)
class ClipShape:
    """The clips that a run was trained on: how many frames, and how many of them a second.

    Raises:
        InputError: a number is not above 0.
    """

    frames: int
    frame_hz: float

    def __post_init__(self) -> None:
        above_zero(frames=self.frames, frame_hz=self.frame_hz)

    @property
    def observation_s(self) -> float:
        """Length of a clip, in seconds."""
        return self.frames / self.frame_hz
