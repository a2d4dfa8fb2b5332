"""What watching attention costs, in time and memory of training steps.

    python benchmarks/capture_cost.py [MODEL ...]

Four ways of the same model with random weights: `sdpa` (no gaze), `block` (gaze on the inserted block), `vit` (gaze on
a captured layer of the tower), `eager` (the library's own eager attention of all layers, which are all kept, as
`output_attentions` does, with gaze on one). A step is a forward and a backward pass. Times are medians of rounds in
which the four take turns, and ratios medians of the rounds' ratios.

On a CPU: LLaVA with ViT-L/336 in fp32 on one thread, timed by its processor time, which other work hardly changes;
memory is the peak of a fresh process each. On a GPU: that and Qwen2.5-VL 3B and 7B with LoRA, in bf16 autocast, timed
by the clock; memory is that of the weights and what a step adds to it at its peak.
"""

import gc
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import tests_path  # noqa: F401 (before what lies in tests/)
import torch
from large_models import DEVICE, MODELS, ON_GPU, LargeModel, load, make_batch
from result import cpu_name, write_result

# isort: split

from backbone_checks import EAGER, over_patches, recorded
from gaze_vlm.attention import GazeBlock, PatchAttention, gaze_divergence
from gaze_vlm.backbones import Backbone
from gaze_vlm.datamodules.clip import Batch

WAYS = ("sdpa", "block", "vit", "eager")
ROUNDS = 6
CLOCK = time.perf_counter if ON_GPU else time.process_time
MIB = 2**20


def load_way(model: LargeModel, way: str, folder: Path) -> Backbone:
    """The model, set up for one way."""
    block = partial(GazeBlock, output="modulate") if way == "block" else None
    backbone = load(model, folder, block=block, vit_layers=(model.layer,) if way == "vit" else ())
    if way == "eager":
        backbone.hf.set_attn_implementation(EAGER)
    return backbone


def step(model: LargeModel, way: str, backbone: Backbone, batch: Batch) -> None:
    """A forward and a backward pass, with the pull toward gaze where attention is watched."""
    backbone.zero_grad(set_to_none=True)
    recorded.clear()
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
        made = backbone(batch)
    attention = made.attention
    if way == "eager":
        weights = torch.cat(recorded[list(backbone.vit_attention_modules().values())[model.layer]]).float()
        probabilities = over_patches(backbone, weights).unflatten(0, batch.gaze.shape[:2])
        attention = PatchAttention(probabilities.log(), backbone.layout.vit)
    loss = made.cross_entropy.sum() / made.tokens
    if attention is not None:
        loss = loss + gaze_divergence(attention.head_mean().flatten(0, 1), batch.gaze.flatten(0, 1)).mean()
    loss.backward()
    recorded.clear()
    if ON_GPU:
        torch.cuda.synchronize()


def fresh_peak_mib(name: str, way: str, folder: Path) -> float:
    """Peak memory of two steps in a process of its own."""
    command = [sys.executable, __file__, name, way, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def peak_mib(name: str, way: str, folder: Path) -> float:
    """Peak memory of two steps in this process."""
    backbone = load_way(MODELS[name], way, folder)
    batch = make_batch(MODELS[name], backbone)
    for _ in range(2):
        step(MODELS[name], way, backbone, batch)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def step_peak_mib(model: LargeModel, way: str, backbone: Backbone, batch: Batch) -> float:
    """On a GPU: weights of this backbone, and what a step adds at its peak to what is there."""
    backbone.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    there = torch.cuda.memory_allocated()
    step(model, way, backbone, batch)
    added = torch.cuda.max_memory_allocated() - there
    weights = sum(one.numel() * one.element_size() for one in (*backbone.parameters(), *backbone.buffers()))
    return (weights + added) / MIB


def share_frozen(backbone: Backbone, other: Backbone) -> None:
    """Let two backbones have the same frozen weights, so that four of a size fit."""
    theirs = dict(other.hf.named_parameters())
    for name, parameter in backbone.hf.named_parameters():
        if not parameter.requires_grad:
            parameter.data = theirs[name].data


def measure(name: str) -> dict[str, float]:
    """Step times, peaks, and their ratios to `sdpa`."""
    model = MODELS[name]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with TemporaryDirectory() as made:
        folder = Path(made)
        model.save(folder)
        memory = {} if ON_GPU else {way: fresh_peak_mib(name, way, folder) for way in WAYS}
        backbones: dict[str, Backbone] = {}
        for way in WAYS:
            backbones[way] = load_way(model, way, folder)
            share_frozen(backbones[way], backbones[WAYS[0]])
    batches = {way: make_batch(model, backbone) for way, backbone in backbones.items()}
    batches["eager"] = batches["vit"]  # gaze on the tower's grid
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS + 2):
        for way in np.roll(WAYS, number):  # none always comes first
            start = CLOCK()
            step(model, way, backbones[way], batches[way])
            if number > 1:  # the first rounds warm up
                seconds[way].append(CLOCK() - start)
    if ON_GPU:
        memory = {way: step_peak_mib(model, way, backbones[way], batches[way]) for way in WAYS}
    figures = {f"{way}_step_s": round(median(times), 4) for way, times in seconds.items()}
    for way in WAYS[1:]:
        ratios = [taken / plain for taken, plain in zip(seconds[way], seconds["sdpa"], strict=True)]
        figures[f"{way}_over_sdpa_time"] = round(median(ratios), 3)
    figures |= {f"{way}_peak_mib": round(mib) for way, mib in memory.items()}
    figures |= {f"{way}_over_sdpa_memory": round(memory[way] / memory["sdpa"], 3) for way in WAYS[1:]}
    return figures


def main(names: list[str]) -> None:
    figures = {}
    for name in names or (list(MODELS) if ON_GPU else ["llava-vit-l-336"]):
        figures |= {f"{name}: {key}": value for key, value in measure(name).items()}
        gc.collect()  # the seams of a backbone refer to it
        torch.cuda.empty_cache()
    measured = {key.partition(":")[0]: None for key in figures}
    write_result(
        "capture_cost_gpu" if ON_GPU else "capture_cost",
        figures=figures,
        command="python benchmarks/capture_cost.py",
        device=torch.cuda.get_device_name() if ON_GPU else cpu_name(),
        packages=("torch", "transformers"),
        conditions={
            "threads": torch.get_num_threads(),
            "precision": "bf16 autocast" if ON_GPU else "fp32",
            "rounds": ROUNDS,
            **{f"{name}: model": MODELS[name].description for name in measured},
            **{f"{name}: batch": f"{MODELS[name].clips} clips x {MODELS[name].frames} frames" for name in measured},
        },
    )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] in WAYS:
        print(json.dumps(peak_mib(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
    else:
        main(sys.argv[1:])
