"""What watching attention costs: training steps of a LLaVA whose vision tower is CLIP ViT-L/14 at 336 px.

    python benchmarks/capture_cost.py

Four ways of the same model with random weights and a small language model, everything learning: `sdpa` (no gaze),
`block` (gaze on the inserted block), `vit` (gaze on a captured layer of the tower), `eager` (the library's own eager
attention of all the tower's layers, as `output_attentions` gives it, with gaze on one). Times are medians of rounds in
which the four take turns, and ratios medians of the rounds' ratios; memory is the peak of a fresh process each. On a
GPU it runs in bf16 autocast with a larger batch.
"""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from result import cpu_name, write_result
from torch import Tensor

from gaze_vlm.attention import GazeBlock, PatchAttention, gaze_divergence
from gaze_vlm.backbones import Llava
from gaze_vlm.backbones.tiny_llava import TinyLlavaSize, build_tiny_llava, save
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.mixture import GazeMixture

WAYS = ("sdpa", "block", "vit", "eager")
LAYER = -2  # of the tower's 24, gaze pulls the last but one
SIZE = TinyLlavaSize(image=336, patch=14, vision_width=1024, vision_layers=24, language_width=512, heads=16)
WORDS = "what is the camera wearer doing ? cut onion".split()
ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
CLIPS, FRAMES = (4, 8) if ON_GPU else (1, 1)
ROUNDS = 20 if ON_GPU else 5


def load(way: str, folder: Path) -> Llava:
    """The model, set up for one way."""
    block = partial(GazeBlock, output="modulate") if way == "block" else None
    backbone = Llava(
        str(folder), block=block, vit_layers=(LAYER,) if way == "vit" else (), train=("vision", "projector", "language")
    )
    backbone.load()
    if way == "eager":
        backbone.hf.model.vision_tower.set_attn_implementation("eager")
        backbone.hf.model.vision_tower.config.output_attentions = True
    return backbone.to(DEVICE)


def step(way: str, backbone: Llava, batch: Batch) -> None:
    """A forward and a backward pass, with the pull toward gaze where attention is watched."""
    backbone.zero_grad(set_to_none=True)
    seen: list[tuple[Tensor, ...]] = []
    hook = backbone.hf.model.vision_tower.register_forward_hook(lambda _, __, made: seen.append(made.attentions))
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
        made = backbone(batch)
    hook.remove()
    attention = made.attention
    if way == "eager":
        weights = seen[0][LAYER][:, :, 0, 1:].float()
        attention = PatchAttention((weights / weights.sum(-1, keepdim=True)).log()[None], backbone.grid)
    loss = made.cross_entropy.sum() / made.tokens
    if attention is not None:
        loss = loss + gaze_divergence(attention.head_mean().flatten(0, 1), batch.gaze.flatten(0, 1)).mean()
    loss.backward()
    if ON_GPU:
        torch.cuda.synchronize()


def make_batch(backbone: Llava) -> Batch:
    """Noise, with gaze in the middle."""
    clips = [
        Clip(
            clip_id="clip",
            video_id="video",
            session="video",
            task="activity",
            frames=torch.randint(0, 256, (FRAMES, 3, 336, 336), dtype=torch.uint8),
            frame_times_s=[float(i) for i in range(FRAMES)],
            gaze=GazeMixture(torch.full((FRAMES, 1, 2), 0.5), torch.ones(FRAMES, 1), 0.05, 1.0),
            prompt="What is the camera wearer doing?",
            target="cut onion",
            verb=None,
            noun=None,
            same_step=True,
            next_starts_in_s=1.0,
        )
        for _ in range(CLIPS)
    ]
    batch = backbone.collator()(clips)
    batch.inputs = {name: value.to(DEVICE) for name, value in batch.inputs.items()}
    batch.gaze = batch.gaze.to(DEVICE)
    return batch


def peak_mib(way: str, folder: Path) -> float:
    """Peak memory of two steps in this process."""
    backbone = load(way, folder)
    batch = make_batch(backbone)
    for _ in range(2):
        step(way, backbone, batch)
    if ON_GPU:
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def main() -> None:
    torch.manual_seed(0)
    with TemporaryDirectory() as made:
        folder = Path(made)
        save(*build_tiny_llava(WORDS, SIZE), folder)
        memory = {}
        for way in WAYS:
            command = [sys.executable, __file__, way, str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            memory[way] = float(json.loads(done.stdout.splitlines()[-1]))
        backbones = {way: load(way, folder) for way in WAYS}
        batch = make_batch(backbones["sdpa"])
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(ROUNDS + 1):
            for way in np.roll(WAYS, number):  # none always comes first
                start = time.perf_counter()
                step(way, backbones[way], batch)
                if number:  # the first round warms up
                    seconds[way].append(time.perf_counter() - start)
    figures = {f"{way}_step_s": round(median(times), 3) for way, times in seconds.items()}
    for way in WAYS[1:]:
        ratios = [taken / plain for taken, plain in zip(seconds[way], seconds["sdpa"], strict=True)]
        figures[f"{way}_over_sdpa_time"] = round(median(ratios), 3)
    figures |= {f"{way}_peak_mib": round(mib) for way, mib in memory.items()}
    figures |= {f"{way}_over_sdpa_memory": round(memory[way] / memory["sdpa"], 3) for way in WAYS[1:]}
    write_result(
        "capture_cost",
        figures=figures,
        command="python benchmarks/capture_cost.py",
        device=torch.cuda.get_device_name() if ON_GPU else cpu_name(),
        packages=("torch", "transformers"),
        conditions={
            "threads": torch.get_num_threads(),
            "precision": "bf16 autocast" if ON_GPU else "fp32",
            "tower": "CLIP ViT-L/14, 336 px, 24 layers of 1024, random weights, learning",
            "language": "2 layers of 512",
            "batch": f"{CLIPS} clips x {FRAMES} frames",
            "rounds": ROUNDS,
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(peak_mib(sys.argv[1], Path(sys.argv[2]))))
    else:
        main()
