"""What a comparison is: the YAML that `gaze-vlm compare` reads."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import check_name
from gaze_vlm.ranges import at_least, is_seed


@dataclass(frozen=True)
class Curve:
    """The data-size curve: arms, each trained on each of these numbers of clips.

    No arms, no curve.
    """

    arms: tuple[str, ...] = ()
    train_clips: tuple[int, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Arms to train and compare.

    Paths are relative to the working directory, as on the command line. The YAML is code: `before_seed` runs as a
    command. Read one that is not yours before you run it.

    Args:
        dataset: name of the data set, for the page's title and as a check of the runs.
        backbone: name of the backbone, also as a check; left out where `backbones` names several.
        runs: directory of the run directories, `<runs>/<arm>/seed<k>`; `<arm>-<n>` for the curve's; of several
            backbones `<runs>/<backbone>/<arm>/seed<k>`.
        output: results without suffix: `.md`, `.csv`, `_curve.csv` and `_curve.png` are added.
        configs: YAML files that every run is composed of, before its arm's.
        arms: name of the arm → its YAML file.
        backbones: name of each backbone → its YAML file, which comes before the arm's.
        control: arm that the others are compared with.
        train_clips: number of train clips of the main table.
        seeds: to train every arm with.
        curve: the data-size curve; none leaves it out.
        before_seed: command to run once before the runs of a backbone and seed; `{seed}` and `{backbone}` are filled
            in.
        overrides: arguments of every run; `{seed}`, `{train_clips}`, `{arm}` and `{backbone}` are filled in.
        also_test: name of another data set → its store; every run of the main table is tested on it too.
        reach_s: how long before its action the hand's reach is visible, in seconds (`groups.future_group`).
    """

    dataset: str
    runs: Path
    output: Path
    arms: dict[str, Path]
    control: str
    train_clips: int
    backbone: str = ""
    configs: tuple[Path, ...] = ()
    backbones: dict[str, Path] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    curve: Curve = Curve()
    before_seed: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    also_test: dict[str, Path] = field(default_factory=dict)
    reach_s: float = 0.8

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Numbers of train clips that each arm is trained on, the main table's first."""
        more = {arm: self.curve.train_clips for arm in self.curve.arms}
        return {arm: tuple(dict.fromkeys((self.train_clips, *more.get(arm, ())))) for arm in self.arms}

    @property
    def backbone_names(self) -> tuple[str, ...]:
        """Every backbone, in the order of the page."""
        return tuple(self.backbones) or (self.backbone,)

    def folder(self, backbone: str) -> Path:
        """Return where the runs of a backbone go."""
        return self.runs / backbone if self.backbones else self.runs

    def files(self, backbone: str, arm: str) -> list[Path]:
        """Return the YAML files of a run, in the order in which they apply."""
        own = [self.backbones[backbone]] if self.backbones else []
        return [*self.configs, *own, self.arms[arm]]


def load_comparison(file: Path) -> Comparison:
    """Read the YAML of a comparison.

    Raises:
        InputError: a key is unknown, missing or of the wrong type, keys contradict each other, or a file is missing.
    """
    if not file.is_file():
        raise InputError(f"{file} does not exist: name the comparison's YAML file with --config")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    comparison = _parse(values, file)
    _check(comparison, file)
    return comparison


def _check(comparison: Comparison, file: Path) -> None:
    known = f"one of {', '.join(comparison.arms)}"
    at_least(1, **{f"{file}: train_clips": comparison.train_clips})
    at_least(0, **{f"{file}: reach_s": comparison.reach_s})
    for clips in comparison.curve.train_clips:
        at_least(1, **{f"{file}: curve.train_clips": clips})
    for seed in comparison.seeds:
        is_seed(seed)
    if comparison.control not in comparison.arms:
        raise InputError(f"{file}: control: {comparison.control!r} is no arm, name {known}")
    if bool(comparison.backbone) == bool(comparison.backbones):
        raise InputError(
            f"{file}: backbone and backbones: give the name of one, or the names and YAML files of several"
        )
    if comparison.backbones and comparison.curve.arms:
        raise InputError(f"{file}: curve: it is of one backbone, take it out or compare one backbone")
    for path in (*comparison.configs, *comparison.backbones.values(), *comparison.arms.values()):
        if not path.is_file():
            raise InputError(
                f"{file}: configs, backbones and arms: {path} does not exist, fix the path or run from the project"
            )
    for arm in comparison.curve.arms:
        if arm not in comparison.arms:
            raise InputError(f"{file}: curve.arms: {arm!r} is no arm, name {known}")
    if comparison.curve.arms and not comparison.curve.train_clips:
        raise InputError(f"{file}: curve.train_clips: empty, name the numbers of train clips of the curve")
    if comparison.curve.arms and not any("{train_clips}" in override for override in comparison.overrides):
        raise InputError(
            f"{file}: overrides: none uses {{train_clips}}, so every point of the curve would train alike: "
            "add the argument that limits the train clips"
        )
    for name in comparison.backbones:
        check_name(name, f"{file}: backbones")
    for name in comparison.also_test:
        check_name(name, f"{file}: also_test")
        if name == comparison.dataset:
            raise InputError(f"{file}: also_test: {name!r} is the data set of the comparison itself, name another")
    for key, templates in (("before_seed", comparison.before_seed), ("overrides", comparison.overrides)):
        for template in templates:
            try:
                template.format(seed=0, train_clips=1, arm="control", backbone="")
            except (KeyError, IndexError, ValueError) as error:
                raise InputError(
                    f"{file}: {key}: {template!r} cannot be filled in ({error}), "
                    "use {seed}, {train_clips}, {arm} and {backbone}, and double any other brace"
                ) from error


def _parse(values: Any, file: Path) -> Comparison:
    """The YAML's mapping as a `Comparison`, types checked by jsonargparse; an empty key is its default."""
    if not isinstance(values, dict):
        raise InputError(f"{file} holds {type(values).__name__}, not keys: write {', '.join(_keys())}")
    for key in values:
        if key not in _keys():
            raise InputError(f"{file}: {key}: unknown key, use {', '.join(_keys())}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Comparison)
    try:
        parsed = parser.parse_object({key: value for key, value in values.items() if value is not None}).as_dict()
    except ArgumentError as error:
        # Some of jsonargparse's messages run over several lines.
        raise InputError(f"{file}: {' '.join(str(error).split())}: fix that key") from error
    return Comparison(**{**parsed, "curve": Curve(**parsed["curve"])})


def _keys() -> list[str]:
    return [field.name for field in fields(Comparison)]
