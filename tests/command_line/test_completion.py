"""Completion in a real bash: of commands, options, values that are one of a few; and in a real zsh."""

import os
import re
import shutil
import subprocess
from contextlib import redirect_stdout
from pathlib import Path
from typing import Literal

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
ZSH = """\
autoload -U compinit; compinit -u -D
keep_line() { print -r -- "$BUFFER" > line; exit }
zle -N keep_line; bindkey '^G' keep_line
"""


def write_script(file: Path, shell: Literal["bash", "zsh"]) -> Path:
    with file.open("w") as stream, redirect_stdout(stream):
        completion(shell)
    return file


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_script(tmp_path_factory.mktemp("completion") / "gaze-vlm.bash", "bash")


@pytest.fixture(scope="module")
def zsh_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_script(tmp_path_factory.mktemp("completion") / "gaze-vlm.zsh", "zsh")


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


def test_zsh_has_every_command_with_its_options(zsh_script: Path) -> None:
    text, names = zsh_script.read_text(encoding="utf-8"), {*TRAINING, *COMMANDS}
    assert text.startswith("#compdef gaze-vlm lightning\n")
    assert "\nif [[ $zsh_eval_context[-1] == (eval|file) ]]; then\n" in text
    assert "\n  compdef _shtab_gaze_vlm -N gaze-vlm lightning\n" in text  # where it is sourced
    listed = re.search(r"(?s)local _commands=\((.*?)\n  \)", text)
    assert listed is not None
    assert {*re.findall(r"(?m)^    ([\w-]+):'", listed[1])} == names
    called = dict(re.findall(r"(?m)^        ([\w-]+)\) _arguments -C -s \$(\w+) ;;$", text))
    assert called.keys() == names
    assert all(f"\n{options}=(\n" in text for options in called.values())
    assert '\n  "--engine[' in text
    assert re.search(r'(?m)^  "--data\.train_gaze\[.*\]:data.train_gaze:\(.*shuffled shuffled_in_time.*\)"$', text)


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("gaze-vlm compl", "gaze-vlm completion "),
        ("gaze-vlm compare --eng", "gaze-vlm compare --engine"),
        ("gaze-vlm compare --engine sub", "gaze-vlm compare --engine submitit "),
        ("lightning fit --data.train_gaze shuffled_", "lightning fit --data.train_gaze shuffled_in_time "),
        ("lightning fit --config ow", "lightning fit --config own.yaml "),
    ],
)
def test_zsh_completes(zsh_script: Path, typed: str, becomes: str) -> None:
    """In a zsh at a terminal: what stands on the line after Tab."""
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("there is no zsh here")
    folder = zsh_script.parent
    (folder / "own.yaml").touch()
    (folder / "line").unlink(missing_ok=True)
    ours, its = os.openpty()
    with subprocess.Popen(
        [zsh, "-f", "-i"], stdin=its, stdout=its, stderr=its, cwd=folder, env={"TERM": "dumb"}, start_new_session=True
    ) as shell:
        keys = f"{ZSH}source {zsh_script}\n{typed}\t\x07"  # Ctrl-G
        os.write(ours, keys.encode())
        try:
            shell.wait(60)
        finally:
            shell.kill()
    os.close(ours)
    os.close(its)
    assert (folder / "line").read_text() == f"{becomes}\n"
