"""The doctor's estimate of a training's memory against what a GPU had to hold, with random weights.

    python benchmarks/training_memory.py

Steps of AdamW in bf16 autocast, with and without gradient checkpointing; the peak is PyTorch's own count of what was
allocated, the second step's, which has the optimiser's states. Needs a GPU.
"""

import gc
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from large_models import DEVICE, MODELS, ON_GPU, LargeModel, load, make_batch
from result import write_result

from gaze_vlm.attention import GazeRegularizer, gaze_divergence
from gaze_vlm.doctor.memory import estimate
from gaze_vlm.training.module import GazeVLM

PRECISION = "bf16-mixed"
GB = 1e9


def measure(model: LargeModel, checkpointing: bool, folder: Path) -> dict[str, float]:
    """What the doctor says, and what two steps took at most."""
    torch.cuda.reset_peak_memory_stats()
    backbone = load(model, folder, vit_layers=(model.layer,), gradient_checkpointing=checkpointing)
    batch = make_batch(model, backbone)
    labels = batch.inputs["labels"]
    module = GazeVLM(backbone, GazeRegularizer())
    answer = int((labels[0] >= 0).sum())
    estimated = estimate(module, model.clips, PRECISION, model.frames, labels.shape[1], answer)
    optimizer = module.make_optimizer(module.parameter_groups())
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.bfloat16):
            made = backbone(batch)
        divergence = gaze_divergence(made.attention.head_mean().flatten(0, 1), batch.gaze.flatten(0, 1)).mean()
        (made.cross_entropy.sum() / made.tokens + divergence).backward()
        optimizer.step()
    measured = torch.cuda.max_memory_allocated() / GB
    (total,) = (size / GB for name, size in estimated.items() if name.startswith("in all"))
    return {"estimated_gb": round(total, 1), "measured_gb": round(measured, 1), "ratio": round(total / measured, 2)}


def main() -> None:
    if not ON_GPU:
        sys.exit("training_memory needs an NVIDIA GPU, and torch finds none")
    figures = {}
    for name, model in MODELS.items():
        with TemporaryDirectory() as made:
            model.save(Path(made))
            for checkpointing in (False, True):
                how = "with" if checkpointing else "without"
                found = measure(model, checkpointing, Path(made))
                figures |= {f"{name}, {how} checkpointing: {key}": value for key, value in found.items()}
                gc.collect()  # the seams of a backbone refer to it
                torch.cuda.empty_cache()
    write_result(
        "training_memory",
        figures=figures,
        command="python benchmarks/training_memory.py",
        device=torch.cuda.get_device_name(),
        packages=("torch", "transformers", "peft"),
        conditions={
            "precision": PRECISION,
            "source": "a captured layer of the vision tower",
            **{f"{name}: model": model.description for name, model in MODELS.items()},
            **{f"{name}: batch": f"{model.clips} clips x {model.frames} frames" for name, model in MODELS.items()},
        },
    )


if __name__ == "__main__":
    main()
