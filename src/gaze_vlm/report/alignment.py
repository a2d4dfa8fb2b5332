"""How well each head of each layer attends to gaze: as tests found it, or of all layers of a tower."""

from pathlib import Path

import numpy as np
import torch

from gaze_vlm.attention.sources import Tower
from gaze_vlm.backbones.loading import chosen_device
from gaze_vlm.errors import InputError
from gaze_vlm.metrics.attention_scores import AttentionScorer, HeadSums, head_sums
from gaze_vlm.output import check_output_file
from gaze_vlm.progress import track
from gaze_vlm.ranges import at_least, is_seed
from gaze_vlm.report.alignment_figure import draw_alignment
from gaze_vlm.report.figures import KINDS, save
from gaze_vlm.runs.alignment import Alignment, alignment_of, read_alignment, write_alignment
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.configured import load_run
from gaze_vlm.training.module import FLOOR


def picture_alignment(
    runs: list[Path], output: Path, tower: Tower | None = None, samples: int = 128, seed: int = 0
) -> Path:
    """Picture NSS, AUC and KL of each head of each layer, side by side by run.

    All runs are on one scale.

    Args:
        runs: run directories, in the order of the columns.
        output: the picture to write: PNG, JPEG, PDF or SVG by its name.
        tower: take all layers of the vision tower or the language model, and write `alignment_<tower>.json` in each
            run. By default those that attention was taken from, as the test found them.
        samples: how many test samples a tower is scored on.
        seed: draws the samples.

    Raises:
        MissingFileError: a run without what is drawn, or whose tower is asked for and has no checkpoint.
        InputError: an output of another kind, a damaged file, or a tower that cannot be captured.
    """
    at_least(1, runs=len(runs), samples=samples)
    is_seed(seed)
    check_output_file(output, KINDS)
    aligned = {}
    for run in runs:
        directory = RunDirectory(run)
        file = directory.alignment
        if tower is not None:
            file = directory.tower_alignments[tower]
            write_alignment(file, score_tower(run, tower, samples, seed))
            print(f"wrote {file}")
        aligned[str(run)] = read_alignment(file)
    save(draw_alignment(aligned), output)
    return output


@torch.no_grad()
def score_tower(run: Path, tower: Tower, samples: int, seed: int) -> Alignment:
    """Score every head of every layer of a run's tower on test samples.

    Raises:
        InputError: the samples have no valid gaze; see `Backbone.capture_tower` too.
    """
    cli = load_run(run)
    module, data, device = cli.model, cli.datamodule, torch.device(chosen_device())
    dataset, backbone = data.tested(), module.to(device).backbone
    backbone.capture_tower(tower)
    collator = backbone.collator()
    floor = FLOOR if module.regularizer is None else module.regularizer.floor
    scorer = AttentionScorer(backbone.covered_view, backbone.options.min_mass_in_view, floor)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:samples]).tolist()
    batches = [drawn[i : i + data.batch_size] for i in range(0, len(drawn), data.batch_size)]
    sums: list[HeadSums] = []
    for indices in track(batches, f"{run}, {tower}", len(batches)):
        batch = data.transfer_batch_to_device(collator(dataset.__getitems__(indices)), device, 0)
        attention = backbone(batch).attention
        sums.append(head_sums(attention, scorer.on_grid(batch, attention.grid), floor))
    assert backbone.source is not None
    alignment = alignment_of(backbone.source, sum(sums[1:], sums[0]))
    if alignment is None:
        raise InputError(f"{run}: none of the {len(drawn)} samples has valid gaze in view: look at more --samples")
    return alignment
