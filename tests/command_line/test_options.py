"""A wrong option, key, value or file is one line that says what may have been meant."""

import typing
from pathlib import Path
from typing import Any, Optional, Union, get_args

import lightning as L
import pytest
from jsonargparse import ArgumentError
from lightning.pytorch import callbacks

from gaze_vlm.cli import main
from gaze_vlm.command_line.arguments import underscored
from gaze_vlm.command_line.composition import expand_configs
from gaze_vlm.command_line.options import OneLineParser
from gaze_vlm.command_line.wrong_options import explain
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.suggestions import nearest_path
from gaze_vlm.training.lightning_cli import TrainingParser, training_parser
from training_files import arguments

KITCHEN = Path(__file__).parents[2] / "lightning_configs" / "kitchen" / "gaze.yaml"
FILES = {
    "twice.yaml": "data:\n  batch_size: 2\ndata:\n  workers: 1\n",
    "workers.yaml": "workers: 1\nworkers: 2\n",
    "key.yaml": "data: {batchsize: 4}",
    "group.yaml": "dta: {batch_size: 4}",
    "nested.yaml": "data: {gaze: {sigmas: 4}}",
    "class.yaml": "model: {backbone: {class_path: gaze_vlm.backbones.LLava, init_args: {checkpoint: x}}}",
    "class_option.yaml": "model: {backbone: {class_path: gaze_vlm.backbones.Llava, init_args: {chekpoint: x}}}",
    "value.yaml": "data: {workers: four}",
    "composed.yaml": "configs: [value.yaml]",
    "syntax.yaml": "seed_everything: 0\ndata: {batch_size: [4}",
    "list.yaml": "- 1",
    "prepare.yaml": "parameters: {frame_hzz: 1}",
    "parameters.yaml": "parameters: 3",
    "reader.yaml": "reader: 3",
}
WRONG_VALUES = {  # and what is said of the option; a group or dataclass has keys
    "run: 1": "run: expected keys with values, got '1'",
    "trainer: 3": "trainer: expected keys with values, got '3'",
    "model: [3]": "model: expected keys with values, got '[3]'",
    '"trainer.\\n": 3': r"there is no option trainer.\x0a; did you mean trainer?",
    "3: 4": "there is no option 3",
    "data: {gaze: 1}": "data.gaze: expected keys with values, got '1'",
    "data: {gaze: null}": "data.gaze: expected keys with values, got 'null'",
    "data: {gaze: {event_weights: []}}": "data.gaze.event_weights: expected keys with values, got '[]'",
    "data: {train_noise: [0.1]}": "data.train_noise: expected keys with values, got '[0.1]'",
    "model: {backbone: {init_args: 3}}": "model.backbone: init_args: expected keys with values, got int",
    "model: {backbone: {init_args: {view: 3}}}": "model.backbone.init_args.view: expected keys with values, got '3'",
    # Null was taken for a value of any type.
    "data: {batch_size: null}": "data.batch_size: expected a whole number, got 'null'",
    "model: {backbone: {init_args: {max_new_tokens: null}}}": "max_new_tokens: expected a whole number, got 'null'",
    "model: {backbone: {init_args: {heads: null}}}": "model.backbone.init_args.heads: expected a list, got 'null'",
    "data: {gaze: {sigma: null}}": "data.gaze.sigma: expected a number, got 'null'",
    f"data: {{gaze: {{sigma: {'9' * 400}}}}}": "data.gaze.sigma: int too large to convert to float",
}


def case(message: str, *args: str, status: int = 2) -> object:
    return pytest.param(list(args), message, status, id=" ".join(args[-2:]))


@pytest.mark.parametrize(
    ("args", "message", "status"),
    [
        # An abbreviation is no option: this one began a run of 500 steps.
        case("there is no option --data.train_clip; did you mean --data.train_clips?", "fit", "--data.train_clip=100"),
        case("there is no option --batch_size; did you mean --data.batch_size?", "fit", "--batch_size=4"),
        case("there is no option --nosuch; see `gaze-vlm fit --help`", "fit", "--nosuch", "1"),
        case(
            "data.batch_size: expected a whole number, got 'four'; see `gaze-vlm fit --help`",
            "fit",
            "--data.batch_size=four",
        ),
        case(
            "expected one of own, shuffled, shuffled_in_time, centre, got 'shufled'; did you mean shuffled?",
            "test",
            "--data.train_gaze=shufled",
        ),
        case("'stray' belongs to no option", "fit", "stray"),
        case("--data.workers needs a value", "fit", "--data.workers"),
        case(
            "GazeRegularizer has no option weigth; did you mean weight?",
            "fit",
            "--model.regularizer.init_args.weigth=1",
        ),
        case(
            "there is no torch.optim.AdamX; did you mean torch.optim.Adam", "fit", "--model.optimizer=torch.optim.AdamX"
        ),
        case(
            "GazeBlock has no option heds; did you mean heads?",
            "fit",
            "--model.backbone.init_args.block.init_args.heds=4",
        ),
        case(
            "loggers.TensorBoardLogger needs save_dir: give it as init_args.save_dir",
            "fit",
            "--trainer.logger=TensorBoardLogger",
        ),
        case(
            "callbacks.LearningRateMonitor: expected one of step, epoch, got 'foo'",
            "fit",
            "--trainer.callbacks+=LearningRateMonitor",
            "--trainer.callbacks.logging_interval=foo",
        ),
        case(
            "callbacks.EarlyStopping has no option monitr; did you mean monitor?",
            "fit",
            "--trainer.callbacks+=EarlyStopping",
            "--trainer.callbacks.monitr=x",
        ),
        case("model.optimizer.init_args.lr: expected a number", "fit", "--model.optimizer.init_args.lr=nan"),
        case(
            "weight_decay: expected a number, got 'nan'",
            "fit",
            "--model.optimizer.init_args.weight_decay=nan",
        ),
        # Refused by the class itself, when it is made; a logger whose package is missing, too.
        case(
            "callbacks.EarlyStopping: `mode` can be min, max, got foo",
            "fit",
            "--trainer.callbacks+=EarlyStopping",
            "--trainer.callbacks.monitor=x",
            "--trainer.callbacks.mode=foo",
            status=1,
        ),
        case(
            "regularizer weight (λ) is -1.0: it must be 0 or more",
            "fit",
            "--model.regularizer.init_args.weight=-1",
            status=1,
        ),
        case("key.yaml: there is no option data.batchsize; did you mean data.batch_size?", "fit", "--config=key.yaml"),
        case("group.yaml: there is no option dta.batch_size; did you mean data.batch_size?", "fit", "-c", "group.yaml"),
        case(
            "nested.yaml: there is no option data.gaze.sigmas; did you mean data.gaze.sigma?",
            "validate",
            "--config",
            "nested.yaml",
        ),
        case(
            "class.yaml: model.backbone: there is no gaze_vlm.backbones.LLava; did you mean gaze_vlm.backbones.Llava?",
            "fit",
            "--config=class.yaml",
        ),
        case(
            "gaze_vlm.backbones.Llava has no option chekpoint; did you mean checkpoint?",
            "predict",
            "--config=class_option.yaml",
        ),
        case("value.yaml: data.workers: expected a whole number, got 'four'", "fit", "--config=composed.yaml"),
        case("syntax.yaml is no YAML: line 2: ", "fit", "--config=syntax.yaml", status=1),
        case(
            "twice.yaml is no YAML: line 3: the key 'data' stands there twice", "fit", "--config=twice.yaml", status=1
        ),
        case("workers.yaml is no YAML: line 2: the key 'workers'", "prepare", "--config=workers.yaml", status=1),
        case("list.yaml holds list, not keys with values", "fit", "--config=list.yaml", status=1),
        case(
            "valve.yaml does not exist: fix the path; did you mean ",
            "fit",
            "--config=valve.yaml",
            status=1,
        ),
        case("there is no option --data.train_clip; did you mean --data.train_clips?", "doctor", "--data.train_clip=3"),
        case("key.yaml: there is no option data.batchsize", "doctor", "--config=key.yaml"),
        case("there is no option --rot; did you mean --root?", "prepare", "--rot=x"),
        case("there is no option --work; did you mean --workers?", "prepare", "--work=1"),
        case("--dataset, --root and --store must be given, on the command line or in a --config", "prepare"),
        case(
            "dataset: expected one of egtea, ego4d, folder, got 'egteaa'; did you mean egtea?",
            "prepare",
            "--dataset=egteaa",
        ),
        case(
            "prepare.yaml: there is no option parameters.frame_hzz; did you mean parameters.frame_hz?",
            "prepare",
            "--config=prepare.yaml",
        ),
        case(
            "parameters.yaml: parameters: expected keys with values, got '3'",
            "prepare",
            "--config=parameters.yaml",
        ),
        case("reader.yaml: reader: expected keys with values", "prepare", "--config=reader.yaml"),
        case("parameters: expected keys with values, got '3'", "prepare", "--parameters=3"),
        case("data.gaze: expected keys with values, got '1'", "fit", "--data.gaze=1"),
        case("backbone.init_args.view: expected keys with values, got '3'", "fit", "--model.backbone.view=3"),
        case("valve.yaml does not exist", "prepare", "--config=valve.yaml", status=1),
        case("seeds: expected a whole number, got 'a'", "compare", "--config=x", "--seeds", "0", "a"),
        case("no command 'prepar': choose from ", "prepar"),
        case("; did you mean prepare?", "prepar"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    args: list[str],
    message: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    if args[0] in ("fit", "validate", "test", "predict", "doctor"):
        args = [args[0], f"--config={KITCHEN}", *args[1:]]
    assert main(args) == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(("text", "message"), WRONG_VALUES.items())
def test_a_wrong_value_of_a_yaml_is_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "m.yaml").write_text(text)
    assert main(["doctor", f"--config={KITCHEN}", f"--config={tmp_path / 'm.yaml'}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{tmp_path / 'm.yaml'}: " in error
    assert message in error


def test_a_parser_of_the_librarys_own_tries_on() -> None:
    """What does not fit one part of a union may fit another."""
    parser = TrainingParser(exit_on_error=False)
    parser.add_argument("--weight", type=float)
    with pytest.raises(ArgumentError):
        parser.parse_args(["--weight=heavy"])


def test_hyphens_may_stand_for_underscores() -> None:
    given = ["--dry-run", "--data.batch-size=4", "--ckpt-path", "a-b", "--run.dir=a-b", "-c", "a-b.yaml"]
    made = ["--dry_run", "--data.batch_size=4", "--ckpt_path", "a-b", "--run.dir=a-b", "-c", "a-b.yaml"]
    assert underscored(given) == made


def test_what_lightning_refuses_of_the_trainer_is_one_line(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for option in ("--trainer.strategy=no_such", "--trainer.max_steps=-5"):
        assert main(["fit", *arguments(tmp_path, tiny_llava, prepared), option]) == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("gaze-vlm fit: error: trainer: ")
        assert option.partition(".")[2].partition("=")[0] in line


def test_a_message_of_unknown_form_is_one_line() -> None:
    assert explain("something\n  else", ["data.store"]) == (None, "something else")
    assert explain('Parser key "a.b":\n  went\n  wrong', []) == ("a.b", "a.b: went wrong")


def test_the_nearest_path_is_that_of_the_first_part_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "runs" / "kitchen").mkdir(parents=True)
    assert nearest_path(tmp_path / "runs" / "kichen" / "config.yaml") == f"; did you mean {tmp_path / 'runs/kitchen'}?"
    assert nearest_path(tmp_path / "nothing") == ""


def test_a_short_config_option_is_composed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    assert expand_configs(["-c", "composed.yaml"]) == expand_configs(["--config=composed.yaml"])
    with pytest.raises(InputError):
        expand_configs(["--config=syntax.yaml"])
    with pytest.raises(MissingFileError):
        expand_configs(["--config=nowhere.yaml"])


class Limited(L.Callback):
    """Takes a number of batches or a share of them."""

    def __init__(self, limit: float | int | None = None) -> None:
        self.limit = limit


NUMBERS = [("1", 1), ("4", 4), ("1.0", 1.0), ("0.5", 0.5), ("1e-3", 0.001), ("null", None)]


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_a_whole_number_stays_one_whatever_was_imported_before(
    text: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process that had imported something else first, `limit_val_batches: 1` was 1.0: all batches."""
    for forget in typing._cleanups:  # type: ignore[attr-defined]
        forget()
    Optional[Union[float, int]]  # noqa: UP007, UP045  as an import may have it
    parser = OneLineParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Limited, "trainer")
    parser.add_subclass_arguments(L.Callback, "nested")
    (tmp_path / "a.yaml").write_text(f"trainer: {{limit: {text}}}\n")
    nested = "--nested=lightning.pytorch.callbacks.Limited"
    monkeypatch.setattr(Limited, "__module__", callbacks.__name__)  # from where classes are taken
    monkeypatch.setattr(callbacks, "Limited", Limited, raising=False)
    for words in ([f"--trainer.limit={text}"], [f"--config={tmp_path / 'a.yaml'}"]):
        read = parser.parse_args([*words, nested, f"--nested.limit={text}"])
        for given in (read.trainer.limit, read.nested.init_args.limit):
            assert (type(given), given) == (type(value), value)


def test_the_trainers_numbers_are_tried_as_whole_ones_first() -> None:
    hints = {action.dest: getattr(action, "_typehint", None) for action in training_parser()._actions}
    numbers = {name for name, hint in hints.items() if all(kind in get_args(hint) for kind in (int, float))}
    assert numbers >= {f"trainer.limit_{part}_batches" for part in ("train", "val", "test", "predict")}
    assert all(get_args(hints[name])[:2] == (int, float) for name in numbers)
