"""Compare the scores of attention with pysaliency's: python benchmarks/pysaliency_agreement.py

Prints the largest difference of each score over random maps. The project itself does not depend on pysaliency.
"""

import numpy as np
import torch

if not hasattr(np, "trapz"):  # gone from numpy 2.4, and pysaliency 0.2.22 calls it
    np.trapz = np.trapezoid  # type: ignore[attr-defined]  # noqa: NPY201

from pysaliency import metrics
from pysaliency.numba_utils import general_roc_numba

from gaze_vlm.attention.regularizer import kl_divergence
from gaze_vlm.metrics import saliency

MAPS, SIDE, POINTS = 60, 8, 6


def main() -> None:
    draw = np.random.default_rng(0)
    attention, gaze = draw.dirichlet(np.full(SIDE**2, 0.3), (2, MAPS)).clip(1e-12)
    attention[-10:] = attention[-10:].round(2) + 1e-9  # values that tie
    attention, gaze = (one / one.sum(-1, keepdims=True) for one in (attention, gaze))
    fixations, elsewhere = draw.multinomial(POINTS, gaze), draw.multinomial(8 * POINTS, gaze[::-1])
    a, g, f, e = (torch.from_numpy(one.astype(float)) for one in (attention, gaze, fixations, elsewhere))
    ours = {
        "CC": saliency.correlation(a, g),
        "SIM": saliency.similarity(a, g),
        "NSS": saliency.scanpath_saliency(a, f),
        "AUC": saliency.area_under_judds_curve(a, f),
        "shuffled AUC": saliency.area_under_curve(a, f, e),
        "KL": kl_divergence(g.log(), a.log()),
    }
    theirs: dict[str, list[float]] = {name: [] for name in ours}
    for map_, of_gaze, at, others in zip(attention, gaze, fixations, elsewhere, strict=True):
        square, looked = map_.reshape(SIDE, SIDE), np.repeat(np.arange(SIDE**2), at)
        theirs["CC"].append(metrics.CC(square, of_gaze.reshape(SIDE, SIDE)))
        theirs["SIM"].append(metrics.SIM(square, of_gaze.reshape(SIDE, SIDE)))
        theirs["NSS"].append(metrics.NSS(square, looked % SIDE, looked // SIDE).mean())
        theirs["AUC"].append(general_roc_numba(map_[looked], map_[at == 0])[0])
        theirs["shuffled AUC"].append(general_roc_numba(map_[looked], np.repeat(map_, others))[0])
        theirs["KL"].append(metrics.image_based_kl_divergence(map_, of_gaze, minimum_value=0))
    for name, values in ours.items():
        print(f"{name}: {np.abs(values.numpy() - theirs[name]).max():.1e}")


if __name__ == "__main__":
    main()
