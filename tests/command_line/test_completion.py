"""Completion in a real bash: of commands, of their options, of values that are one of a few."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gaze_vlm.cli import COMMANDS, completion
from gaze_vlm.command_line.examples import TRAINING

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function_of=$(complete -p "$1"); function_of=${function_of##*-F }; function_of=${function_of%% *}
$function_of "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from contextlib import redirect_stdout

    file = tmp_path_factory.mktemp("completion") / "gaze-vlm.bash"
    with file.open("w") as stream, redirect_stdout(stream):
        completion()
    return file


def completed(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of the words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    command = [bash, "--norc", "-c", COMPLETE, "bash", str(script), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=script.parent)
    assert done.stderr == ""
    return {*done.stdout.split()}


@pytest.mark.parametrize("program", ["gaze-vlm", "lightning"])
def test_commands(script: Path, program: str) -> None:
    assert completed(script, program, "") >= {*TRAINING, *COMMANDS}
    assert completed(script, program, "com") == {"compare", "completion"}


def test_options(script: Path) -> None:
    assert completed(script, "lightning", "fit", "--data.train_") == {
        "--data.train_clips",
        "--data.train_gaze",
        "--data.train_noise",
        "--data.train_noise.noise",
        "--data.train_noise.offset",
        "--data.train_noise.dropped",
        "--data.train_noise.field_of_view_deg",
        "--data.train_noise.seed",
    }
    assert completed(script, "gaze-vlm", "kitchen", "--pa") == {"--participants"}
    assert "--ckpt_path" in completed(script, "lightning", "fit", "--config", "a.yaml", "--c")


def test_values(script: Path) -> None:
    assert completed(script, "lightning", "fit", "--data.train_gaze", "sh") == {"shuffled", "shuffled_in_time"}
    assert completed(script, "gaze-vlm", "compare", "--engine", "") == {"local", "submitit"}
    (script.parent / "own.yaml").touch()
    assert completed(script, "lightning", "fit", "--config", "ow") == {"own.yaml"}
