"""Some validation clips of a training, shown in its loggers: question, answer, and attention beside gaze."""

from typing import Any

import lightning as L
import numpy as np
from einops import rearrange
from jaxtyping import Float, UInt8
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.errors import UserError
from gaze_vlm.foreign_text import in_markdown
from gaze_vlm.gaze.overlay import density, one_scale, resized, with_density, with_points
from gaze_vlm.gaze.view import View
from gaze_vlm.progress import say
from gaze_vlm.training.callbacks import in_training
from gaze_vlm.training.loggers import show_picture, takes_pictures
from gaze_vlm.training.module import GazeVLM

FRAMES = 4  # of a clip
WIDTH_PX = 224  # of each

Maps = Float[np.ndarray, "group row column"]


class SamplePictures(Callback):
    """Show the same validation clips at each validation of a training, spread over those of the first process.

    Nothing is computed for it but the pictures. Where no logger takes pictures, none is drawn.

    Args:
        count: how many clips.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.frames: dict[str, dict[int, np.ndarray]] = {}  # of the clips shown

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, GazeVLM)
        loggers = [logger for logger in trainer.loggers if takes_pictures(logger)]
        if not (in_training(trainer) and loggers and trainer.is_global_zero):
            return
        loader: Any = trainer.val_dataloaders
        evaluation, batches = pl_module.evaluation, int(trainer.num_val_batches[0])
        assert evaluation is not None
        answers = evaluation.predictions[-len(batch) :]
        before, after = (number * self.count // batches for number in (batch_idx, batch_idx + 1))
        for i, number in enumerate(range(before, after)[: len(batch)]):
            try:
                frames = self.frames_of(batch.clips[i], loader.dataset)
            except (UserError, OSError) as error:  # a training from kept features needs no video
                say(f"clip {batch.clips[i].clip_id} is not shown: {error}")
                continue
            picture = draw(frames, batch, i, evaluation.attention, pl_module.backbone.covered_view)
            caption = caption_of(batch.clips[i], answers[i].prediction)
            for logger in loggers:
                show_picture(logger, f"samples/{number}", picture, caption, trainer.global_step - 1)

    def frames_of(self, clip: Clip, dataset: Any) -> dict[int, UInt8[np.ndarray, "height width 3"]]:
        """Return some frames of a clip, small, by their number; they are decoded once.

        Raises:
            UserError: they cannot be decoded.
            OSError: the file system refused.
        """
        if clip.clip_id not in self.frames:
            position = next(i for i, record in enumerate(dataset.records) if record.clip_id == clip.clip_id)
            decoded = dataset.decode(position).numpy()
            chosen = np.linspace(0, len(decoded) - 1, min(FRAMES, len(decoded))).round().astype(int).tolist()
            self.frames[clip.clip_id] = {number: resized(decoded[number], WIDTH_PX) for number in chosen}
        return self.frames[clip.clip_id]


def draw(
    frames: dict[int, UInt8[np.ndarray, "height width 3"]],
    batch: Batch,
    sample: int,
    attention: PatchAttention | None,
    covered: View,
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw frames of a sample with gaze, and below them with attention, on one scale.

    Args:
        frames: by their number in the clip.
        batch: has the gaze; without valid gaze a frame has its points alone.
        sample: which of the batch.
        attention: of the batch; None draws the gaze alone.
        covered: the part of the frames that the attention's grid covers.
    """
    clip = batch.clips[sample]
    if attention is None:
        gaze_only = [with_points(image, clip.gaze, number) for number, image in frames.items()]
        return np.concatenate(gaze_only, axis=1)
    rows = attention.grid.rows
    gaze, looked_at = _densities(batch.gaze[sample], rows), _densities(attention.head_mean()[sample].exp(), rows)
    per_group = len(clip.frame_times_s) // len(gaze)
    valid, norm = batch.valid[sample].tolist(), one_scale([*gaze, *looked_at])
    above, below = [], []
    for number, image in frames.items():
        group = number // per_group
        coloured = with_density(image, gaze[group], covered, norm) if valid[group] else image
        above.append(with_points(coloured, clip.gaze, number))
        below.append(with_density(image, looked_at[group], covered, norm))
    return np.concatenate([np.concatenate(above, axis=1), np.concatenate(below, axis=1)])


def caption_of(clip: Clip, answer: str) -> str:
    """Return question, target text and answer in Markdown."""
    texts = {"clip": clip.clip_id, "question": clip.prompt, "target": clip.target, "answer": answer}
    return "  \n".join(f"{what}: {in_markdown(text)}" for what, text in texts.items())


def _densities(mass: Float[Tensor, "group patch"], rows: int) -> Maps:
    on_grid = rearrange(mass.float().cpu().numpy(), "group (row column) -> group row column", row=rows)
    return np.stack([density(one) for one in on_grid])
