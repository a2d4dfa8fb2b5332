"""Run directories with known numbers, in the files that `fit` and `test` write."""

import json
from pathlib import Path

import numpy as np

NOUNS = ("red cup", "blue pot", "green lid")


def rows(right: np.ndarray, kl: float | None = None) -> list[dict]:
    """Two tasks for every clip; `right` [task, clip] says where the noun is right. Four clips a session.

    Clips take turns: the same action goes on, the next starts in 0.5 s, the next starts in 2 s.
    """
    made = []
    for clip in range(right.shape[1]):
        for index, task in enumerate(("activity", "future")):
            same = clip % 3 == 0
            noun = NOUNS[clip % 2 if task == "activity" or same else 2]
            answer = noun if right[index, clip] else "nothing"
            made.append(
                {
                    "clip_id": f"clip{clip:04d}",
                    "session": f"P{clip // 4:02d}",
                    "task": task,
                    "prediction": f"cut {answer}",
                    "target": f"cut {noun}",
                    "target_verb": "cut",
                    "target_noun": noun,
                    "semantic": 0.9 if right[index, clip] else 0.3,
                    "rouge_l": 1.0 if right[index, clip] else 0.4,
                    "exact_match": float(right[index, clip]),
                    "verb": 1.0,
                    "noun": float(right[index, clip]),
                    "noun_any": float(right[index, clip] or clip % 8 == 0),
                    "noun_absent": float(clip % 4 == 0),
                    "attention_kl": kl,
                    "same_step": same,
                    "future_starts_in_s": (3.0, 0.5, 2.0)[clip % 3],
                }
            )
    return made


def write_run(
    path: Path,
    rows: list[dict],
    arm: str = "control",
    seed: int = 0,
    train_clips: int = 800,
    weight: float | None = 0.0,
    backbone: str = "tiny-llava",
    dataset: str = "kitchen",
) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    about = {
        "arm": arm,
        "seed": seed,
        "backbone": backbone,
        "dataset": dataset,
        "lambda": weight,
        "floor": None if weight is None else 1e-3,
        "train_clips": train_clips,
    }
    (path / "run.json").write_text(json.dumps(about))
    (path / "config.yaml").write_text(f"seed_everything: {seed}\n")
    (path / "metrics.json").write_text("{}")
    (path / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(clips: int, share: float, seed: int) -> np.ndarray:
    """Random [task, clip] of right and wrong."""
    return np.random.default_rng(seed).random((2, clips)) < share
