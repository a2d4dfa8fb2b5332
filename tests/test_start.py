"""What a command does not need it does not import: help and a comparison start at once."""

import subprocess
import sys

import pytest

SLOW = ("torch", "lightning", "transformers", "torchmetrics", "sentence_transformers", "pandas", "sklearn")
CODE = """
import sys
from gaze_vlm.cli import main

if sys.argv[1:]:
    try:
        main(sys.argv[1:])
    except SystemExit:
        pass
print("imported:", *sys.modules)
"""


def imported(*args: str) -> set[str]:
    """First names of the modules that a command imports."""
    ran = subprocess.run([sys.executable, "-c", CODE, *args], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ran.stdout.rpartition("imported:")[2].split()}


@pytest.mark.parametrize(
    ("args", "further"),
    [
        ((), ("jsonargparse", "numpy")),
        (("--help",), ("jsonargparse", "numpy")),
        (("compare", "--help"), ("matplotlib", "scipy", "rich", "PIL", "cv2", "av")),
        (("prepare", "--help"), ("matplotlib",)),
        (("quality", "--help"), ("matplotlib",)),
        (("report", "--help"), ("matplotlib", "scipy")),
        (("kitchen", "--help"), ()),
    ],
)
def test_a_command_imports_what_it_needs_alone(args: tuple[str, ...], further: tuple[str, ...]) -> None:
    assert not imported(*args) & {*SLOW, *further}


BARS = """
from gaze_vlm.cli import main

main([])
from huggingface_hub.utils import are_progress_bars_disabled
from tqdm import tqdm

print(are_progress_bars_disabled(), tqdm().disable)
"""


def test_bars_of_libraries_are_left_out_where_there_is_no_terminal() -> None:
    ran = subprocess.run([sys.executable, "-c", BARS], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "True True"
    assert not ran.stderr
