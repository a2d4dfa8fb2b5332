"""Every block of code in the pages is run, or parsed by what would run it, or marked with a reason.

The quick start is run as it stands, with small sizes on small files (`SMALL`), and leaves a store and runs. In that
folder the commands of all pages are parsed by the real commands, and those of `RUN` are run. Python is run.
`documents_not_run.toml` has the blocks that are neither, each with its reason, and why a command is parsed and not run.
Of commands in sentences and tables the names of commands, options and files are checked.
"""

import functools
import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from documents import PAGES, Block, blocks, inline_code
from gaze_vlm.cli import COMMANDS, TRAINING, main
from gaze_vlm.command_line.function_command import function_parser
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.training.configured import configure
from training_files import ROOT

NOT_RUN: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("documents_not_run.toml").read_text("utf-8")
)
PARSED_ONLY = NOT_RUN.pop("parsed only")  # commands, and why those lines that are not in `RUN` are not run
OUTSIDE = {  # programs of others, and why no test starts them
    ".": "sets the shell's path",
    "aws": "asks for keys that a licence brings",
    "ego4d": "downloads what needs a licence",
    "ls": "lists what `ego4d` downloaded",
    "pre-commit": "changes the repository's hooks",
    "tensorboard": "a server of another package",
    "for": "a loop of the shell, of files that a licence brings",
    "unzip": "unpacks what a licence brings",
    "wget": "downloads what needs a licence",
}
STANDS_FOR = {  # words in the pages that stand for something of the reader's
    "PATH": "data/kitchen",
    "CONFIG": "lightning_configs/kitchen/gaze.yaml",
    "RUN": "runs/kitchen/gaze/seed0",
    "FOLDER": "data/kitchen/videos",
    "MODEL": "runs/kitchen/gaze/seed0",
    "VIDEO": "data/kitchen/videos/P01-R01-Pizza.mp4",
    "ARMS.yaml": "lightning_configs/compare/paper.yaml",
    "…": "lightning_configs/kitchen/preparation.yaml",
}
RUN = {  # commands that are run wherever they stand, beside those of the quick start
    "gaze-vlm export --run runs/kitchen/gaze/seed0 --output exported",
    "gaze-vlm alignment --runs runs/kitchen/control/seed0 runs/kitchen/gaze/seed0 --output alignment.png",
    "gaze-vlm quality --store data/egtea-store",
    "gaze-vlm caption --model runs/kitchen/gaze/seed0 --videos FOLDER --output captions.jsonl --subtitles srt",
    "gaze-vlm look --model MODEL --video VIDEO --prompt What is the camera wearer doing? --output look.html",
}
FEW = ["--trainer.limit_val_batches=1", "--data.batch_size=2"]
SMALL = {  # what makes a command of the quick start small
    "prepare": [
        "--workers=1",
        *("--parameters.observation_s=4", "--parameters.anticipation_s=2", "--parameters.stride_s=1"),
        "--parameters.split_fractions=[0.6,0.1,0.3]",
    ],
    "doctor": ["--data.train_clips=null", "--data.batch_size=2"],
    "fit": [*FEW, "--data.train_clips=null", "--trainer.max_steps=1", "--validate_every_n_steps=1"],
    "test": FEW,
    "attention": ["--count=1"],
}
GIVEN: dict[str, dict[str, Any]] = {  # what a page says is there
    "export.md": {"frames": torch.zeros(4, 3, 96, 128, dtype=torch.uint8)},
}
DOCTESTS = {"docs/api.md": "tests/test_public_api.py"}  # pages with lines that begin with `>>>`, and who runs them
ALSO_CALLED = {  # other paths in the pages that hold what the quick start made
    "data/kitchen-store": ["data/demo-store", "data/egtea-store", "data/ego4d-store"],
    "runs/kitchen/control/seed0": ["runs/demo/control/seed0", "runs/kitchen/baseline/seed0"],
    "runs/kitchen/gaze/seed0": ["runs/demo/gaze/seed0", "runs/ego4d/qwen2.5-vl-7b/gaze/seed0"],
}


def alias(name: Path, path: Path) -> None:
    """Give what lies at `path` another name."""
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(path.resolve(), target_is_directory=True)


def shell(block: Block) -> list[list[str]]:
    """The commands of ours in a block that holds commands."""
    if block.language or not re.match(r"(gaze-vlm|lightning) ", block.text):
        return []
    return [words for words in block.commands() if words[0] in ("gaze-vlm", "lightning")]


@pytest.fixture(scope="module")
def followed(raw_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the quick start was followed."""
    folder = tmp_path_factory.mktemp("followed")
    alias(folder / "lightning_configs", ROOT / "lightning_configs")
    alias(folder / "data" / "kitchen", raw_root)  # tests/kitchen/test_build.py makes kitchens, and so does the notebook
    (folder / "objects.txt").write_text("cup\nonion\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        quick_start = [words[1:] for block in blocks(ROOT / "docs" / "quick_start.md") for words in shell(block)]
        for command, *options in quick_start[1:]:
            assert main([command, *options, *SMALL[command]]) == 0, command
        for path, names in ALSO_CALLED.items():
            for name in names:
                alias(folder / name, folder / path)
        found = {" ".join(words): words[1:] for page in PAGES for block in blocks(page) for words in shell(block)}
        for line in sorted(RUN):
            assert main([stand_in(option) for option in found[line]]) == 0, line
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def parsed_only(followed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder, where commands other than trainings parse their options and do no more."""
    monkeypatch.chdir(followed)
    for name, (where, _) in COMMANDS.items():
        module, function = where.split(":")
        if name != "doctor":
            real = getattr(import_module(module), function)
            monkeypatch.setattr(import_module(module), function, functools.wraps(real)(functools.partial(check, name)))


def check(command: str, **options: Any) -> None:
    """What is done in place of a command: its comparison is read."""
    if command == "compare":
        load_comparison(options["config"])


@functools.cache  # the pages repeat each other
def parse(*words: str) -> None:
    """Parse a command line by what would run it."""
    program, *options = words
    if program in OUTSIDE:
        return
    if program == "make":
        assert set(options) <= make_targets()
    elif program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        ours = re.fullmatch(r"gaze-vlm-lightning\[(.*)\]", options[-1])
        assert ours is None or set(ours[1].split(",")) <= project["optional-dependencies"].keys()
    elif program == "python":
        assert (ROOT / options[0]).is_file()
    elif program == "sbatch":
        of_slurm = [option for option in options if not option.startswith("--") or "." in option]
        batch, config, run, *more = of_slurm
        assert Path(batch).is_file()
        parse("lightning", "fit", "--config", config, "--run.dir", run, *more)
    elif program == "torchrun":
        parse("gaze-vlm", *options[options.index("gaze_vlm") + 1 :])
    else:
        assert program in ("gaze-vlm", "lightning"), f"{program}: no test knows how to check it: give it a reason"
        command, *options = options
        options = [stand_in(option) for option in options]
        if command in TRAINING or command == "doctor":
            configure(options)
        else:
            assert main([command, *options]) == 0


def stand_in(option: str) -> str:
    """An option with what its placeholder stands for."""
    for word, value in STANDS_FOR.items():
        option = re.sub(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])", value, option)
    return option


def piece_of_configuration(block: Block, folder: Path) -> None:
    """Read a part of a YAML within a whole one."""
    piece = yaml.safe_load(block.text)
    whole, command = {
        "arms": ("compare/paper.yaml", "compare"),
        "reader": ("egtea/preparation.yaml", "prepare"),
    }[next(iter(piece))]
    given = yaml.safe_load((ROOT / "lightning_configs" / whole).read_text(encoding="utf-8"))
    for key, value in piece.items():
        given[key] = {**given[key], **value} if isinstance(given.get(key), dict) else value
    file = folder / f"{command}.yaml"
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    assert main([command, "--config", str(file)]) == 0


def test_the_quick_start_and_others_leave_what_they_say(followed: Path) -> None:
    made = "attention.png alignment.png captions.jsonl look.html exported/gaze_vlm.json".split()
    for name in (*made, "runs/kitchen/gaze/seed0/metrics.json"):
        assert (followed / name).stat().st_size > 100


def test_a_command_that_is_not_run_has_a_reason() -> None:
    quick_start = {" ".join(words) for block in blocks(ROOT / "docs" / "quick_start.md") for words in shell(block)}
    run_or_parsed = [
        block for page in PAGES for block in blocks(page) if block.first not in NOT_RUN.get(block.page, {})
    ]
    lines = [words for block in run_or_parsed for words in shell(block)]
    left = {words[1] for words in lines if " ".join(words) not in RUN | quick_start}
    assert left == PARSED_ONLY.keys()
    assert {" ".join(words) for words in lines} >= RUN


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_exist(page: Path) -> None:
    for code in inline_code(page):
        if re.match(r"(gaze-vlm|lightning|make|python) \S", code):
            check_names(code, *shlex.split(code))


def check_names(code: str, program: str, first: str, *rest: str) -> None:
    """The targets, the file, or the command, its options and its configurations are there."""
    if program == "make":
        assert {word for word in (first, *rest) if "=" not in word} <= make_targets(), code
    elif program == "python":
        assert first.startswith("-") or (ROOT / first).is_file(), code
    elif first not in ("--help", "COMMAND"):
        assert first in (*TRAINING, *COMMANDS), code
        names = {word.partition("=")[0].replace("-", "_") for word in rest if word.startswith("--")}
        assert names <= {"__help", *(option.replace("-", "_") for option in options_of(first))}, code
        assert all((ROOT / word).is_file() for word in rest if word.startswith("lightning_configs/")), code


@functools.cache
def options_of(command: str) -> set[str]:
    """Options of a command that is no training; a sentence gives those of a training in a block."""
    if command in TRAINING or command == "doctor":
        return set()
    where, what = COMMANDS[command]
    module, name = where.split(":")
    parser = function_parser(getattr(import_module(module), name), command, what)
    return {option for action in parser._actions for option in action.option_strings}


def make_targets() -> set[str]:
    return {*re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))}


@pytest.mark.usefixtures("parsed_only")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_parsed_or_has_a_reason(page: Path, tmp_path: Path) -> None:
    names = dict(GIVEN.get(page.name, {}))
    for block in blocks(page):
        if NOT_RUN.get(block.page, {}).get(block.first):
            continue
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        elif block.text.startswith(">>> "):
            assert f'testfile("{block.page}"' in (ROOT / DOCTESTS[block.page]).read_text(encoding="utf-8")
        elif block.language == "json":
            json.loads(block.text)
        elif re.match(r"(arms|reader):\n", block.text):
            piece_of_configuration(block, tmp_path)
        else:
            commands = block.commands()
            assert commands, f"{block} is no command: give it a reason in documents_not_run.toml"
            for words in commands:
                parse(*words)


def test_a_reason_stands_for_a_block() -> None:
    there = {(block.page, block.first) for page in PAGES for block in blocks(page)}
    assert {(page, first) for page, reasons in NOT_RUN.items() for first in reasons} - there == set()
    assert all(file.is_file() for file in reason_files())


def reason_files() -> Iterator[Path]:
    """Tests that reasons name."""
    for reasons in NOT_RUN.values():
        for reason in reasons.values():
            yield from (ROOT / name for name in re.findall(r"tests/[\w/]+\.py", reason))
