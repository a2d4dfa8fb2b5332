"""What looking at all attention of a model costs in memory, beside the model's plain forward pass.

    python benchmarks/look_memory.py

Three ways of one pass over 16 frames, a prompt and an answer of 32 tokens, without gradients: `forward` (the model
alone), `look` (`gaze-vlm look`: every layer and head of both towers, kept for a page), `eager` (the library's eager
attention with `output_attentions` in the language model, which users do by hand). Memory is that of a process that has
loaded the model, and what the pass adds to it at its peak, in a fresh process each, on a CPU.

The model is Qwen2.5-VL with the widths of its 3B, and 4 of its 36 language layers and of its 32 vision layers, so that
it fits a small machine. In a deeper model the weights are more, and so is what `eager` keeps; what `forward` and `look`
add is the same, but for the maps, which are bounded.
"""

import gc
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import tests_path  # noqa: F401 (before what lies in tests/)
import torch
from large_models import LargeModel, load
from result import cpu_name, write_result

# isort: split

from backbone_families import make_clip
from gaze_vlm.backbones import Backbone, QwenVL
from gaze_vlm.look.kept_maps import MapKeeper
from gaze_vlm.look.watching import Asked, ask, watch, watched_layers
from qwen_sizes import save_qwen

WAYS = ("forward", "look", "eager")
LAYERS, FRAMES, MAPS_MB = 4, 16, 20
ANSWER = "pick up red cup " * 7 + "cut red onion"  # 31 words and an end of text


def save_shallow(folder: Path) -> None:
    """Configuration and processor of the model."""
    save_qwen("3b", folder)
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    text, vision = config["text_config"], config["vision_config"]
    text["num_hidden_layers"] = vision["depth"] = LAYERS
    text["max_window_layers"] = LAYERS
    text["layer_types"] = text["layer_types"][:LAYERS]
    vision["fullatt_block_indexes"] = [LAYERS - 1]
    file.write_text(json.dumps(config), encoding="utf-8")


MODEL = LargeModel(
    description=f"Qwen2.5-VL of the 3B's widths, {LAYERS} of 36 language layers and of 32 vision layers; 252x336 px",
    make=QwenVL,
    save=save_shallow,
    layer=-1,
    clips=1,
    frames=FRAMES,
    options={"frame_size_px": (252, 336), "train": ()},
)


@torch.no_grad()
def one_pass(way: str, backbone: Backbone, asked: Asked) -> None:
    """Read prompt and answer in one of the ways."""
    if way == "look":
        sources = ("vision", "language")
        watched = {source: layers for source in sources if (layers := watched_layers(backbone, source)) is not None}
        keeper = MapKeeper(watched, len(asked.answer_ids), MAPS_MB * 10**6)
        watch(backbone, asked, watched, keeper.see)
        assert [len(one.done) for one in keeper.of.values()] == [1, LAYERS]
        return
    if way == "eager":
        backbone.parts()["language"][0].set_attn_implementation("eager")  # type: ignore[operator]
    ids = torch.cat([asked.prompt_ids, asked.answer_ids])[None]
    with backbone.reading(asked.batch) as visual:
        prepared = backbone.prepare({"input_ids": ids, "attention_mask": torch.ones_like(ids), **visual})
        made = backbone.generative_model(
            **prepared, logits_to_keep=1, use_cache=False, output_attentions=way == "eager"
        )
    assert way != "eager" or made.attentions[-1].shape[-1] == ids.shape[1]


def measure(way: str, folder: Path) -> tuple[float, float]:
    """Memory of this process with the model loaded, and at the peak of a pass, in MiB."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    backbone = load(MODEL, folder).eval()
    asked = ask(backbone, make_clip(0, frames=FRAMES), ANSWER)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted anew: making weights has one
    loaded = status_mib("VmRSS")
    one_pass(way, backbone, asked)
    return loaded, status_mib("VmHWM")


def status_mib(name: str) -> float:
    """A figure of this process, as the system has it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{name}:")[1].split()[0]) / 2**10


def main() -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        MODEL.save(folder)
        measured = {}
        for way in WAYS:
            command = [sys.executable, __file__, way, str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measured[way] = json.loads(done.stdout.splitlines()[-1])
    figures = {"loaded_mib": round(measured["forward"][0])}
    for way, (loaded, peak) in measured.items():
        figures[f"{way}_adds_mib"] = round(peak - loaded)
        figures[f"{way}_peak_over_forward"] = round(peak / measured["forward"][1], 3)
    write_result(
        "look_memory",
        figures=figures,
        command="python benchmarks/look_memory.py",
        device=cpu_name(),
        packages=("torch", "transformers"),
        conditions={
            "threads": 1,
            "precision": "fp32",
            "model": MODEL.description,
            "frames": FRAMES,
            "answer tokens": 32,
            "maps_mb": MAPS_MB,
        },
    )


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in WAYS:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
    else:
        main()
