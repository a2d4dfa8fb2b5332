"""Train toward gaze with TRL's SFTTrainer: python examples/trl_sft.py [CHECKPOINT]"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling, SFTConfig, SFTTrainer

from gaze_vlm import Box, FrameRegions, GazeRegularizer, PatchTargets, Spot, capture_attention
from gaze_vlm.shipped.checkpoints import locate_checkpoint

DATA, SIGMA = Path(__file__).parent / "kitchen", 20 / 1088  # that of gaze in frame widths
REGULARIZER = GazeRegularizer(weight=1.0)


class GazeTrainer(SFTTrainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        gaze, gaze_valid = inputs.pop("gaze"), inputs.pop("gaze_valid")
        if not model.training:  # an evaluation reports the cross-entropy
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        with capture_attention(model, layers="all") as captured:
            loss = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
        pull = REGULARIZER.loss(captured.attention(inputs), gaze, gaze_valid, step=self.state.global_step)
        # What is divided by the tokens of all accumulated batches is not divided by their number again.
        return loss + pull / (1 if num_items_in_batch is None else self.current_gradient_accumulation_steps)


def main(checkpoint: str = "kitchen-llava", steps: int = 4) -> list[float]:
    """Train, and return the loss of each step."""
    folder = locate_checkpoint(checkpoint)
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    targets = PatchTargets(model, processor)
    rows = [json.loads(line) for line in (DATA / "pictures.jsonl").read_text().splitlines()]
    for row in rows:
        row["images"] = [Image.open(DATA / row.pop("image")).convert("RGB")]
        row["prompt"] = [{"role": "user", "content": row["prompt"]}]
        row["completion"] = [{"role": "assistant", "content": row.pop("answer")}]
    own = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)

    def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
        images = [row["images"] for row in rows]
        regions = [[*(Spot(*xy) for xy in row["gaze"]), *(Box(*sides) for sides in row["boxes"])] for row in rows]
        aims = [FrameRegions([one], SIGMA, of.width / of.height) for one, (of,) in zip(regions, images, strict=True)]
        inputs = own(rows)
        return {**inputs, **targets(inputs, aims)}

    # SFTTrainer would keep its own columns alone; a length would cut answers off, or images.
    options = {"remove_unused_columns": False, "max_length": None, "bf16": torch.cuda.is_available()}
    options |= {"per_device_train_batch_size": len(rows), "max_steps": steps, "logging_steps": 1, "save_strategy": "no"}
    trainer = GazeTrainer(model, SFTConfig("gaze-sft", **options), collate, Dataset.from_list(rows), None, processor)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    main(*sys.argv[1:])
