"""The commands of a training, and the command lines that end the help of a command.

`tests/command_line/test_help.py` parses each of these.
"""

TRAINING = {
    "fit": "train a run",
    "validate": "score a checkpoint on the validation clips",
    "test": "score a checkpoint on the test clips",
    "predict": "describe clips",
}

_GAZE = "lightning_configs/kitchen/gaze.yaml"
_RUNS = "runs/kitchen/control/seed0 runs/kitchen/gaze/seed0"
_RUN = "runs/kitchen/gaze/seed0"

EXAMPLES = {
    "demo": ("gaze-vlm demo", "gaze-vlm demo --output ~/gaze-demo"),
    "kitchen": ("gaze-vlm kitchen --root data/kitchen",),
    "prepare": (
        "gaze-vlm prepare --config lightning_configs/kitchen/preparation.yaml",
        "gaze-vlm prepare --config lightning_configs/ego4d/preparation.yaml --root PATH --dry_run",
    ),
    "quality": ("gaze-vlm quality --store data/kitchen-store",),
    "backbone": ("gaze-vlm backbone --output checkpoints/kitchen-seed1 --seed 1",),
    "doctor": ("gaze-vlm doctor", f"gaze-vlm doctor --config {_GAZE}"),
    "compare": (
        "gaze-vlm compare --config lightning_configs/compare/kitchen.yaml --seeds 0 1 2",
        "gaze-vlm compare --config lightning_configs/compare/kitchen.yaml --arms gaze language --dry_run",
    ),
    "report": ("gaze-vlm report --config lightning_configs/compare/kitchen.yaml",),
    "export": (f"gaze-vlm export --run {_RUN} --output exported",),
    "attention": (f"gaze-vlm attention --runs {_RUNS} --output attention.pdf",),
    "alignment": (f"gaze-vlm alignment --runs {_RUNS} --output alignment.pdf",),
    "completion": ("gaze-vlm completion --shell zsh",),
    "fit": (
        f"lightning fit --config {_GAZE}",
        "lightning fit --config kitchen/gaze --config arms/shuffled --trainer.max_steps=100",
        f"lightning fit --config {_RUN}/config.yaml --ckpt_path last",
    ),
    "validate": (f"lightning validate --config {_RUN}/config.yaml --ckpt_path {_RUN}/checkpoints/best.ckpt",),
    "test": (f"lightning test --config {_RUN}/config.yaml --ckpt_path {_RUN}/checkpoints/best.ckpt",),
    "predict": (f"lightning predict --config {_RUN}/config.yaml --ckpt_path {_RUN}/checkpoints/best.ckpt",),
}
