"""A shared configuration runs no command: every way that one was found to, through every command that reads one."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from gaze_vlm.cli import main
from gaze_vlm.command_line.class_paths import VARIABLE, check_classes, take_allowed_packages
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.planned_runs import job_of, planned_runs
from gaze_vlm.errors import InputError
from training_files import fit

MODEL = "--model.backbone.init_args"
EVIL = """
import pathlib
pathlib.Path("imported").touch()

import torch

class Optimizer(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        pathlib.Path("built").touch()
        super().__init__(params, lr)

def run(path):
    pathlib.Path(path).touch()
"""


@pytest.fixture(autouse=True)
def in_a_folder_with_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_a_stranger.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")


def command(value: object) -> object:
    return {"class_path": value, "init_args": {"command": "touch ran"}}


ATTACKS = {
    "a function as optimizer": {"model": {"optimizer": command("os.system")}},
    "its C name": {"model": {"optimizer": command("posix.system")}},
    "by way of a known package": {"model": {"optimizer": command("torch.serialization.os.system")}},
    "a class that starts processes": {
        "model": {"optimizer": {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "ran"]}}}
    },
    "a short form": {"model": {"optimizer": "os.system"}},
    "a function of a known package": {
        "model": {
            "optimizer": {"class_path": "torch.hub.load", "init_args": {"repo_or_dir": ".", "model": "x"}},
        }
    },
    "a module of the folder": {"model": {"optimizer": {"class_path": "of_a_stranger.Optimizer"}}},
    "an encoder": {"model": {"encoder": {"class_path": "of_a_stranger.Optimizer"}}},
    "an encoder that fetches code": {
        "model": {
            "encoder": {
                "class_path": "sentence_transformers.SentenceTransformer",
                "init_args": {"model_name_or_path": ".", "trust_remote_code": True},
            }
        }
    },
    "a backbone": {"model": {"backbone": {"class_path": "of_a_stranger.run", "init_args": {"path": "ran"}}}},
    "a block": {"model": {"backbone": {"init_args": {"block": command("os.system")}}}},
    "a regularizer": {"model": {"regularizer": command("os.system")}},
    "a logger": {"trainer": {"logger": command("os.system")}},
    "one of several loggers": {"trainer": {"logger": [command("os.system")]}},
    "a strategy": {"trainer": {"strategy": command("os.system")}},
    "a profiler": {"trainer": {"profiler": command("os.system")}},
    "a plugin": {"trainer": {"plugins": command("os.system")}},
    "a callback": {"trainer": {"callbacks": [command("os.system")]}},
    "a function in a callback": {
        "trainer": {
            "callbacks": [
                {
                    "class_path": "lightning.pytorch.callbacks.LambdaCallback",
                    "init_args": {"setup": "os.system"},
                }
            ]
        }
    },
    "a command in a callback": {
        "trainer": {
            "callbacks": [
                {
                    "class_path": "lightning.pytorch.callbacks.LambdaCallback",
                    "init_args": {
                        "setup": {
                            "class_path": "torch.distributed.launcher.api.elastic_launch",
                            "init_args": {"config": None, "entrypoint": "touch"},
                        }
                    },
                }
            ]
        }
    },
    "a function of a known package in a callback": {
        "trainer": {
            "callbacks": [
                {
                    "class_path": "lightning.pytorch.callbacks.LambdaCallback",
                    "init_args": {"setup": "torch.hub.load"},
                }
            ]
        }
    },
    "a checkpoint with code": {"weights_only": False},
}


@pytest.fixture(scope="module")
def finished_run(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(tmp_path_factory.mktemp("runs") / "shared", tiny_llava, prepared, steps=1)


def poisoned(run: Path, attack: dict, folder: Path) -> Path:
    """A copy of a run, as it would be shared, with something in its configuration."""

    def put(config: dict, values: dict) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and isinstance(config.get(key), dict) and "class_path" not in value:
                put(config[key], value)
            else:
                config[key] = value

    config = yaml.safe_load((run / "config.yaml").read_text())
    put(config, attack)
    shared = folder / "shared"
    shared.mkdir()
    (shared / "checkpoints").symlink_to(run / "checkpoints")
    (shared / "config.yaml").write_text(yaml.safe_dump(config))
    return shared


def one_line(name: str, capsys: pytest.CaptureFixture) -> str:
    error = capsys.readouterr().err
    assert "Traceback" not in error
    line = error.strip().splitlines()[-1]
    assert line.startswith(f"gaze-vlm {name}: error: "), error
    return line


def nothing_ran(folder: Path) -> bool:
    return not any((folder / name).exists() for name in ("ran", "imported", "built"))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_command_runs_what_a_configuration_names(
    attack: dict, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    shared = poisoned(finished_run, attack, tmp_path)
    config = f"--config={shared / 'config.yaml'}"
    for args in (
        ["export", "--run", str(shared), "--output", str(tmp_path / "exported")],
        ["doctor", config],
        ["test", config, f"--ckpt_path={shared / 'checkpoints' / 'best.ckpt'}"],
        ["fit", config, f"--run.dir={tmp_path / 'again'}"],
    ):
        assert main(args) in (1, 2)
        one_line(args[0], capsys)
        assert nothing_ran(tmp_path), args[0]


def test_the_refusal_says_what_and_how_to_allow_it(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [f"--config={finished_run / 'config.yaml'}", f"--run.dir={tmp_path / 'run'}"]
    assert main(["fit", *options, "--model.optimizer=of_a_stranger.Optimizer"]) == 1
    line = one_line("fit", capsys)
    assert "names of_a_stranger.Optimizer, which is of none of the known packages (gaze_vlm, torch, " in line
    assert line.endswith("add --allow_packages of_a_stranger")
    assert main(["fit", *options, "--trainer.plugins=of_a_stranger.run"]) == 1
    assert "names of_a_stranger.run" in one_line("fit", capsys)
    assert main(["fit", *options, "--model.optimizer=torch.hub.load"]) == 2
    assert "to be a function that returns <class 'Optimizer'>" in one_line("fit", capsys)


def test_only_fit_and_its_checks_build_the_optimizer_that_the_command_line_allows(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_a_stranger.py").rename(tmp_path / "of_my_lab.py")
    shared = poisoned(finished_run, {"model": {"optimizer": {"class_path": "of_my_lab.Optimizer"}}}, tmp_path)
    options = [f"--config={shared / 'config.yaml'}", "--allow_packages", "of_my_lab,elsewhere"]
    assert main(["test", *options, f"--ckpt_path={shared / 'checkpoints' / 'best.ckpt'}"]) == 0
    monkeypatch.setenv(VARIABLE, "of_my_lab")
    assert main(["export", "--run", str(shared), "--output", str(tmp_path / "exported")]) == 0
    built = tmp_path / "built"
    assert not built.exists()
    for command in (["doctor", *options, "--run.overwrite=true"], ["fit", *options, f"--run.dir={tmp_path / 'again'}"]):
        assert main(command) == 0
        built.unlink()
    sys.modules.pop("of_my_lab")


def test_no_yaml_allows_a_package(finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("allow_packages: of_a_stranger\n")
    assert main(["fit", f"--config={finished_run / 'config.yaml'}", f"--config={more}"]) == 2
    assert "there is no option allow_packages" in one_line("fit", capsys)


def test_a_comparison_starts_no_run_that_names_a_stranger(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "arm.yaml").write_text("model: {optimizer: of_a_stranger.Optimizer}\n")
    (tmp_path / "compare.yaml").write_text(
        yaml.safe_dump(
            {
                "dataset": "kitchen",
                "backbone": "tiny",
                "runs": "runs",
                "output": "results",
                "configs": [str(finished_run / "config.yaml")],
                "arms": {"control": "arm.yaml"},
                "control": "control",
                "train_clips": 2,
            }
        )
    )
    comparison = load_comparison(Path("compare.yaml"))
    (plan,) = planned_runs(comparison, [0])
    assert main(list(job_of(plan, comparison).command)) == 1  # in this process: starting one takes longest
    assert "of_a_stranger" in one_line("fit", capsys)
    assert nothing_ran(tmp_path)


@pytest.mark.filterwarnings("ignore:.* has no .*sha256 beside it")
def test_a_checkpoint_brings_no_configuration(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    import torch

    checkpoint = torch.load(finished_run / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["hyper_parameters"] = {"optimizer": command("os.system"), "warmup": 0.9}
    torch.save(checkpoint, tmp_path / "other.ckpt")
    main(["test", f"--config={finished_run / 'config.yaml'}", f"--ckpt_path={tmp_path / 'other.ckpt'}"])
    assert nothing_ran(tmp_path)


@pytest.mark.parametrize(
    "taken",
    [
        "torch.optim.AdamW",
        "lightning.pytorch.callbacks.EarlyStopping",
        "lightning.pytorch.loggers.TensorBoardLogger",
        "lightning.pytorch.strategies.FSDPStrategy",
        "lightning.pytorch.profilers.PyTorchProfiler",
        "lightning.pytorch.plugins.environments.SLURMEnvironment",
        "lightning.pytorch.plugins.precision.MixedPrecision",
        "torch.distributed.fsdp.MixedPrecision",
        "gaze_vlm.backbones.QwenVL",
        "gaze_vlm.attention.GazeBlock",
        "gaze_vlm.metrics.semantic.MiniLM",
        "transformers.Adafactor",
    ],
)
def test_what_a_run_is_made_of_is_taken(taken: str) -> None:
    check_classes({"a": [{"class_path": taken}]})


def test_packages_are_taken_from_the_command_line() -> None:
    args = ["--allow_packages=one,two", "--model.warmup=0", "--allow-packages", "three"]
    assert take_allowed_packages(args) == ["--model.warmup=0"]
    assert os.environ[VARIABLE] == "one,two,three"
    with pytest.raises(InputError, match="'one two' is no package's name"):
        take_allowed_packages(["--allow_packages", "one two"])
