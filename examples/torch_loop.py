"""Train toward gaze in a loop of one's own: python examples/torch_loop.py [CHECKPOINT]"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from gaze_vlm import Box, FrameRegions, GazeRegularizer, PatchTargets, Spot, capture_attention
from gaze_vlm.shipped.checkpoints import locate_checkpoint

DATA, SIGMA = Path(__file__).parent / "kitchen", 20 / 1088  # that of gaze in frame widths


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

    regularizer, losses = GazeRegularizer(weight=1.0), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for batch in torch.utils.data.DataLoader(rows * steps, batch_size=len(rows), collate_fn=collate):
        gaze, gaze_valid = batch.pop("gaze"), batch.pop("gaze_valid")
        with capture_attention(model, layers="all") as captured:
            loss = model(**batch).loss
        loss = loss + regularizer.loss(captured.attention(batch), gaze, gaze_valid, step=len(losses))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    print("losses:", *(f"{loss:.3f}" for loss in losses))
    return losses


if __name__ == "__main__":
    main(*sys.argv[1:])
