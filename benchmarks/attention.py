"""How far captured attention is from the library's eager one, and which cells of its grids each family sees right.

    python benchmarks/attention.py

Checkpoints of the real classes with random weights, a few layers and a width of 32, at the frame and patch sizes of the
real ones. A cell is right if a bright square in its middle moves its own token most while no patch sees another, and
gaze put there falls into it. Prints the rows of the tables in docs/backbones.md.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tests_path  # noqa: F401 (before what lies in tests/)
import torch
from result import cpu_name, write_result

# isort: split

from backbone_checks import language_difference, moved_cells, vit_difference
from backbone_families import FAMILIES, WORDS, Family, make_backbone
from gaze_vlm.backbones import Backbone, QwenVL
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava

SIZES: dict[str, list[dict[str, Any]]] = {
    "llava": [{}],
    "llava-next-video": [{"image": 336, "patch": 14}],
    "llava-onevision": [{"image": 384, "patch": 14}],
    "qwen2-vl": [{"patch": 14}],
    "qwen2.5-vl": [{"patch": 14, "window": 4}],
    "qwen3-vl": [{"patch": 16}],
    "internvl3": [{"image": 448, "patch": 14}],
    "llava-dinov2": [{"image": 224, "patch": 14}],
    "narrator": [{"image": 224, "patch": 16}],
    "smolvlm2": [{"image": 512, "patch": 16, "shuffled": 4}, {"image": 384, "patch": 14, "shuffled": 3}],
}
LLAVA = TinyLlavaSize(336, patch=14, vision_width=32, vision_layers=2, language_width=32)
QWEN_TOKENS = (9, 12)  # rows and columns of a frame
CELLS = 16  # in one clip: attention over its visual tokens grows with their square


def real_sizes() -> Iterator[Family]:
    """The families at the sizes of their real checkpoints."""
    for family in FAMILIES:
        is_qwen = family.make is QwenVL
        for size in SIZES[family.name.rpartition("-")[0] if is_qwen else family.name]:
            yield replace(
                family,
                name=f"{family.name} {size['image']} px" if "shuffled" in size else family.name,
                build=partial(build_tiny_llava, WORDS, LLAVA) if not size else partial(family.build, **size),
                frame_size_px=tuple(2 * size["patch"] * tokens for tokens in QWEN_TOKENS) if is_qwen else None,
            )


def wrong_cells(family: Family, backbone: Backbone) -> list[str]:
    """Cells of the backbone's grid whose gaze or bright square ends in another: `row,column: square in row,column`."""
    grid, wrong = backbone.grid, []
    for cells in torch.arange(len(grid)).split(CELLS):
        for cell, *seen in zip(cells.tolist(), *moved_cells(family, backbone, cells.tolist()), strict=True):
            for kind, place in zip(("gaze", "square"), seen, strict=True):
                if place != cell:
                    (row, column), (to_row, to_column) = divmod(cell, grid.columns), divmod(place, grid.columns)
                    wrong.append(f"{row},{column}: {kind} in {to_row},{to_column}")
    return wrong


def main() -> None:
    torch.set_num_threads(1)
    figures: dict[str, float | int | str] = {}
    rows = []
    for family in real_sizes():
        with TemporaryDirectory() as folder:
            save_checkpoint(*family.build(), Path(folder))
            vit = make_backbone(family, Path(folder), None, vit_layers=(-1,))
            language = make_backbone(family, Path(folder), "modulate")
            family = replace(family, vit=vit.grid, language=language.grid)
            differences = [vit_difference(family, Path(folder)), language_difference(family, Path(folder))]
            cells = []
            for kind, backbone in (("vit", vit), ("language", language)):
                wrong = wrong_cells(family, backbone)
                cells.append(f"{len(backbone.grid) - len({one.split(':')[0] for one in wrong})} / {len(backbone.grid)}")
                figures[f"{family.name}: {kind} cells right"] = cells[-1]
                figures |= {f"{family.name}: {kind} cell {one.split(':')[0]}": one for one in wrong}
                figures[f"{family.name}: {kind} attention, max difference"] = float(f"{differences.pop(0):.1e}")
        name = family.name
        rows.append(
            f"| {name} | {family.vit} | {cells[0]} | {family.language} | {cells[1]} | "
            f"{figures[f'{name}: vit attention, max difference']:.0e} | "
            f"{figures[f'{name}: language attention, max difference']:.0e} |"
        )
        print(rows[-1], flush=True)
    write_result(
        "attention",
        figures=figures,
        command="python benchmarks/attention.py",
        device=cpu_name(),
        packages=("torch", "transformers"),
        conditions={"threads": 1, "weights": "random, fp32", "width": 32, "frames": "240x320 squashed to the model's"},
    )
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
