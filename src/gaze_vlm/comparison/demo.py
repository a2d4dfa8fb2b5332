"""`gaze-vlm demo`: from nothing to the table, on a small kitchen."""

from contextlib import chdir
from pathlib import Path

from gaze_vlm.command_line.function_command import call_function
from gaze_vlm.comparison.compare import compare
from gaze_vlm.kitchen.build import build_kitchen
from gaze_vlm.output import check_output_folder, writing
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.progress import say

STEPS = (
    (build_kitchen, "kitchen --root data/demo --participants 12"),
    (
        prepare,
        "prepare --config lightning_configs/kitchen/preparation.yaml --root data/demo --store data/demo-store",
    ),
    (compare, "compare --config lightning_configs/compare/demo.yaml"),
)
"""What the demo runs: functions, and the commands that they are."""


def demo(output: Path = Path()) -> None:
    """Render a small kitchen, prepare it, train six arms of the tiny LLaVA that ships, and print the table.

    The same command completes an interrupted demo.

    Args:
        output: folder for all that is made, `data/`, `runs/` and `results/demo/`; by default the working folder.

    Raises:
        OutputError: the folder cannot be written.
        CommandError: a run failed.
    """
    check_output_folder(output)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    with chdir(output):
        for function, line in STEPS:
            say(f"$ gaze-vlm {line}")
            command, *options = line.split()
            call_function(function, options, command)
