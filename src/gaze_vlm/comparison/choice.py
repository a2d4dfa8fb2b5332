"""What the command line of `gaze-vlm compare` chooses over the comparison's YAML: backbones, data sets, arms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze_vlm.command_line.composition import configs_of, read_yaml
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.recording import SAFE_NAME, check_name
from gaze_vlm.home import home_path
from gaze_vlm.shipped.configs import locate_config, nearest_config
from gaze_vlm.suggestions import did_you_mean


@dataclass(frozen=True)
class Choice:
    """Options of `gaze-vlm compare`, which describes them; empty and None leave the YAML's value."""

    backbone: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    also_test: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    train_clips: int | None = None
    output: Path | None = None

    @classmethod
    def of(
        cls,
        backbone: list[str] | None,
        data: list[str] | None,
        also_test: list[str] | None,
        arms: list[str] | None,
        train_clips: int | None,
        output: Path | None = None,
    ) -> "Choice":
        """Return the choice that a command line gave, None where an option was left out."""
        backbones, datasets, tests, chosen = (tuple(given or ()) for given in (backbone, data, also_test, arms))
        return cls(backbones, datasets, tests, chosen, train_clips, output)

    def apply(self, values: Mapping[str, Any], file: Path) -> dict[str, Any]:
        """Return the keys of a comparison's YAML with what was chosen in their place.

        Runs of a chosen data set, backbone or number of train clips go to a folder of their own, and so does the page.

        Raises:
            InputError: a name is given twice, or is no arm of the YAML.
            MissingFileError: a file or store is not there.
        """
        made, parts = dict(values), []
        if self.data:
            made.pop("dataset", None)
            made["datasets"] = _named("--data", self.data, _name_of_data)
            parts.append("+".join(made["datasets"]))
        if self.backbone:
            made.pop("backbone", None)
            made["backbones"] = _named("--backbone", self.backbone, _name_of_backbone)
            parts.append("+".join(made["backbones"]))
        if self.also_test:
            made["also_test"] = _named("--also_test", self.also_test, _name_of_data)
        if self.arms:
            made |= self._arms(made, file)
        if self.train_clips is not None and self.train_clips != made.get("train_clips"):
            made |= {"train_clips": self.train_clips, "curve": None, "runs": f"{made['runs']}-{self.train_clips}"}
            parts.append(f"{self.train_clips}")
        if self.output is not None:
            made["output"] = self.output
        elif parts:
            made["output"] = Path(made["output"]) / "_".join(parts)
        return made

    def _arms(self, values: Mapping[str, Any], file: Path) -> dict[str, Any]:
        known = values.get("arms") or {}
        for arm in self.arms:
            if arm not in known:
                raise InputError(
                    f"--arms: {arm!r} is no arm of {file}: name some of {', '.join(known)}{did_you_mean(arm, known)}"
                )
        controls = {arm: control for arm, control in (values.get("controls") or {}).items() if arm in self.arms}
        kept = {*self.arms, values.get("control"), values.get("baseline"), *controls.values()}
        curve, sweeps = values.get("curve") or {}, values.get("sweeps") or {}
        return {
            "controls": controls,
            "arms": {arm: config for arm, config in known.items() if arm in kept},
            "sweeps": {
                name: {arm: number for arm, number in sweep.items() if arm in kept} for name, sweep in sweeps.items()
            },
            "curve": {**curve, "arms": [arm for arm in curve["arms"] if arm in kept]} if curve.get("arms") else None,
        }

    @property
    def options(self) -> list[str]:
        """The options that give this choice, for the command on the page."""
        lists = {"--backbone": self.backbone, "--data": self.data, "--also_test": self.also_test, "--arms": self.arms}
        words = [word for option, given in lists.items() if given for word in (option, *given)]
        words += [] if self.train_clips is None else ["--train_clips", str(self.train_clips)]
        return words + ([] if self.output is None else ["--output", str(self.output)])

    def arguments(self, command: str, config: Path, seeds: Iterable[int] | None) -> list[str]:
        """Return the command on a comparison with this choice, and with seeds; None leaves them to its config."""
        of_seeds = [] if seeds is None else ["--seeds", *map(str, seeds)]
        return [command, "--config", str(config), *self.options, *of_seeds]


NO_CHOICE = Choice()
"""The YAML as it stands."""


def store_of(path: Path) -> Path:
    """Return the store of a data set, given as that store or as a YAML with `data.store`.

    Raises:
        InputError: the YAML names no store.
    """
    if path.is_dir():
        return path
    store = _value(path, "data", "store")
    if store is None:
        raise InputError(f"{path} has no data.store: add the store that `gaze-vlm prepare` made, or name the store")
    return home_path(store)


def is_whole_run(config: Path) -> bool:
    """Return whether a YAML is composed of others, so that it brings a data set of its own."""
    return bool(read_yaml(config).get("configs"))


def _named(option: str, given: Sequence[str], name_of: Any) -> dict[str, str]:
    """Names and paths of `NAME=PATH` or `PATH`."""
    found: dict[str, str] = {}
    for one in given:
        name, sign, path = one.partition("=")
        if not sign or not SAFE_NAME.fullmatch(name):
            name, path = "", one
        if not locate_config(Path(path)).exists():
            raise MissingFileError(f"{option}: {path} does not exist: fix the path{nearest_config(Path(path))}")
        name = check_name(name or name_of(Path(path)), f"{option} {one}")
        if name in found:
            raise InputError(
                f"{option}: {found[name]} and {path} are both named {name!r}: give one another name, as in "
                f"{name}-2={path}"
            )
        found[name] = path
    return found


def _name_of_backbone(file: Path) -> str:
    if not locate_config(file).is_file():
        raise InputError(
            f"--backbone: {file} is a folder: name a YAML, such as lightning_configs/runs/kitchen_llava.yaml"
        )
    return str(_value(file, "run", "backbone") or file.stem)


def _name_of_data(path: Path) -> str:
    """The name of a data set: what its YAML says, or of its store's folder."""
    name = None if path.is_dir() else _value(path, "run", "dataset")
    return str(name or path.stem.removesuffix("-store"))


def _value(file: Path, group: str, key: str) -> Any:
    """A value of a YAML or of those that it is composed of; the last counts."""
    found = [values[key] for part in configs_of(file) if key in (values := read_yaml(part).get(group) or {})]
    return found[-1] if found else None
