"""Train toward gaze with transformers.Trainer: python examples/transformers_trainer.py [CHECKPOINT]"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainingArguments

from gaze_vlm import Box, FrameRegions, GazeRegularizer, PatchTargets, Spot, capture_attention
from gaze_vlm.shipped.checkpoints import locate_checkpoint

DATA, SIGMA = Path(__file__).parent / "kitchen", 20 / 1088  # that of gaze in frame widths
REGULARIZER = GazeRegularizer(weight=1.0)


class GazeTrainer(Trainer):
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

    def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
        images = [[Image.open(DATA / row["image"])] for row in rows]
        image, end = {"type": "image"}, processor.tokenizer.eos_token
        chats = [[{"role": "user", "content": [image, {"type": "text", "text": row["prompt"]}]}] for row in rows]
        prompts = processor.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
        texts = [prompt + row["answer"] + end for prompt, row in zip(prompts, rows, strict=True)]
        inputs = processor(text=texts, images=images, padding=True, padding_side="left", return_tensors="pt")
        asked, whole = (torch.tensor([*map(len, processor.tokenizer(of)["input_ids"])]) for of in (prompts, texts))
        ids = inputs["input_ids"]
        labels = ids.masked_fill(torch.arange(-ids.shape[1], 0) < (asked - whole)[:, None], -100)
        regions = [[*(Spot(*xy) for xy in row["gaze"]), *(Box(*sides) for sides in row["boxes"])] for row in rows]
        aims = [FrameRegions([one], SIGMA, of.width / of.height) for one, (of,) in zip(regions, images, strict=True)]
        return {**inputs, "labels": labels, **targets(inputs, aims)}

    # Trainer would remove the columns of gaze before the collator sees them.
    options = {"remove_unused_columns": False, "max_steps": steps, "logging_steps": 1, "save_strategy": "no"}
    arguments = TrainingArguments("gaze-trainer", per_device_train_batch_size=len(rows), **options)
    trainer = GazeTrainer(model, arguments, data_collator=collate, train_dataset=rows)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    main(*sys.argv[1:])
