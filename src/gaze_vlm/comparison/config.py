"""What a comparison is: the YAML that `gaze-vlm compare` reads."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from gaze_vlm.command_line.composition import parse_yaml
from gaze_vlm.comparison.choice import NO_CHOICE, Choice, is_whole_run, store_of
from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import check_name
from gaze_vlm.ranges import at_least, is_finite, is_seed
from gaze_vlm.shipped.configs import locate_config, nearest_config


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
        arms: name of the arm → its YAML file, or the files of an arm that changes several things.
        control: arm that the others are compared with.
        baseline: arm that the others are compared with too, such as the model without a gaze block.
        controls: name of an arm → arm that it is compared with instead of `control`.
        runs: directory of the run directories, `<runs>/<arm>/seed<k>`; `<arm>-<n>` for the curve's. With `datasets` or
            `backbones` their names come before the arm: `<runs>/<dataset>/<backbone>/<arm>/seed<k>`.
        output: results without suffix: `.md`, `.csv`, `.tex`, `.html`, `_curve.csv`, `_curve.png` and `_sweeps.png`
            are added.
        train_clips: number of train clips of the main table; none is that of the configuration.
        dataset: name of the data set, for the page's title and as a check of the runs.
        datasets: name of each data set to train on → its store, or a YAML with `data.store`; instead of `dataset`.
        backbone: name of the backbone, also as a check.
        backbones: name of each backbone → its YAML file; instead of `backbone`.
        configs: YAML files that every run is composed of, before those of its data set, backbone and arm. A whole run
            as the backbone takes their place.
        seeds: to train every arm with.
        curve: the data-size curve; none leaves it out.
        sweeps: what an axis is called → arm → its number on it; `sweeps.sweeps_figure` draws them.
        before_seed: command to run once before the runs of a seed, filled in like `overrides`.
        overrides: arguments of every run; `{seed}`, `{train_clips}`, `{arm}`, `{backbone}` and `{dataset}` are filled
            in.
        also_test: name of another data set → its store; every run of the main table is tested on it too.
        published: CSV of a paper's figures, which are shown beside ours (`published.read_published`).
        reach_s: how long before its action the hand's reach is visible, in seconds (`groups.future_group`).
    """

    arms: dict[str, Path | tuple[Path, ...]]
    control: str
    runs: Path
    output: Path
    baseline: str = ""
    controls: dict[str, str] = field(default_factory=dict)
    train_clips: int | None = None
    dataset: str = ""
    datasets: dict[str, Path] = field(default_factory=dict)
    backbone: str = ""
    backbones: dict[str, Path] = field(default_factory=dict)
    configs: tuple[Path, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    curve: Curve = Curve()
    sweeps: dict[str, dict[str, float]] = field(default_factory=dict)
    before_seed: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    also_test: dict[str, Path] = field(default_factory=dict)
    published: Path | None = None
    reach_s: float = 0.8

    @property
    def sizes(self) -> dict[str, tuple[int | None, ...]]:
        """Numbers of train clips that each arm is trained on, the main table's first."""
        more = {arm: self.curve.train_clips for arm in self.curve.arms}
        return {arm: tuple(dict.fromkeys((self.train_clips, *more.get(arm, ())))) for arm in self.arms}

    @property
    def backbone_names(self) -> tuple[str, ...]:
        """Every backbone, in the order of the page."""
        return tuple(self.backbones) or (self.backbone,)

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Every data set to train on, in the order of the page."""
        return tuple(self.datasets) or (self.dataset,)

    def chosen_seeds(self, seeds: Iterable[int] | None) -> list[int]:
        """Return the given seeds, each once, or where there are none given, the config's."""
        return list(dict.fromkeys(self.seeds if seeds is None else seeds))

    def folder(self, dataset: str, backbone: str) -> Path:
        """Return where the runs on a data set with a backbone go."""
        folder = self.runs / dataset if self.datasets else self.runs
        return folder / backbone if self.backbones else folder

    def files(self, dataset: str, backbone: str, arm: str) -> list[Path]:
        """Return the YAML files of a run, in the order in which they apply.

        A backbone goes on top of the data, for its batch size. A whole run goes below, in place of `configs`: it brings
        all that they would.
        """
        data = [path for name, path in self.datasets.items() if name == dataset and locate_config(path).is_file()]
        own = [path for name, path in self.backbones.items() if name == backbone]
        below = [path for path in own if is_whole_run(path)]
        above = [path for path in own if path not in below]
        return [*(below or self.configs), *data, *above, *self.arm_files(arm)]

    def arm_files(self, arm: str) -> tuple[Path, ...]:
        """Return the YAML files of an arm."""
        files = self.arms[arm]
        return (files,) if isinstance(files, Path) else files

    def data_options(self, dataset: str) -> list[str]:
        """Return the options of a run that choose one of `datasets`, whatever its files say."""
        if not self.datasets:
            return []
        return [f"--data.store={store_of(self.datasets[dataset])}", f"--run.dataset={dataset}"]


def load_comparison(file: Path, choice: Choice = NO_CHOICE) -> Comparison:
    """Read the YAML of a comparison.

    Args:
        file: the YAML; without `runs` and `output`, those are named like it.
        choice: what was chosen over it.

    Raises:
        InputError: a key is unknown, missing or of the wrong type, keys contradict each other, or a file is missing.
    """
    found = locate_config(file)
    if not found.is_file():
        raise InputError(f"{file} does not exist: name the comparison's YAML file with --config{nearest_config(file)}")
    try:
        values = parse_yaml(found.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"{file} holds {type(values).__name__}, not keys: write {', '.join(_keys())}")
    _check_keys(values, str(file))
    places = {"runs": f"runs/{file.stem}", "output": f"results/{file.stem}"}
    given = {key: value for key, value in values.items() if value is not None}
    comparison = _parse(choice.apply(places | given, file), file)
    _check(comparison, file)
    return comparison


def _check_keys(values: Any, where: str) -> None:
    """Refuse names that YAML reads as something else, at every level."""
    for key, value in values.items() if isinstance(values, dict) else ():
        if not isinstance(key, str):
            raise InputError(f"{where}: {key!r} is no text for YAML: put the name in quotes")
        _check_keys(value, f"{where}: {key}")


def _check(comparison: Comparison, file: Path) -> None:
    known = f"one of {', '.join(comparison.arms)}"
    at_least(1, **{f"{file}: train_clips": comparison.train_clips})
    at_least(0, **{f"{file}: reach_s": comparison.reach_s})
    for clips in comparison.curve.train_clips:
        at_least(1, **{f"{file}: curve.train_clips": clips})
    for seed in comparison.seeds:
        is_seed(seed)
    for name, sweep in comparison.sweeps.items():
        for arm, number in sweep.items():
            is_finite(**{f"{file}: sweeps: {name}: {arm}": number})
    sizes = [f"{arm}-{clips}" for arm, of_arm in comparison.sizes.items() for clips in of_arm[1:]]
    for name in comparison.arms:
        if name in ("", ".", "..") or PurePath(name).name != name:
            raise InputError(f"{file}: arms: {name!r} is no name of a folder: take out what makes it a path")
        if name in sizes:
            raise InputError(f"{file}: arms: {name!r} is a name of the curve's runs: give the arm another")
    named = [(f"controls.{arm}", control) for arm, control in comparison.controls.items()]
    named += [("control", comparison.control), *([("baseline", comparison.baseline)] if comparison.baseline else [])]
    named += [("controls", arm) for arm in comparison.controls]
    named += [("curve.arms", arm) for arm in comparison.curve.arms]
    named += [(f"sweeps: {name}", arm) for name, sweep in comparison.sweeps.items() for arm in sweep]
    for key, arm in named:
        if arm not in comparison.arms:
            raise InputError(f"{file}: {key}: {arm!r} is no arm, name {known}")
    for key, one, several in (
        ("backbone", comparison.backbone, comparison.backbones),
        ("dataset", comparison.dataset, comparison.datasets),
    ):
        option = "--backbone" if key == "backbone" else "--data"
        if one and several:
            raise InputError(f"{file}: {key} and {key}s: give the name of one, or the names and paths of several")
        if not (one or several):
            raise InputError(f"{file} names no {key}: give {option}, or the key {key}s")
    if comparison.curve.arms and (len(comparison.backbone_names) > 1 or len(comparison.dataset_names) > 1):
        raise InputError(f"{file}: curve: it is of one backbone and data set, take it out or compare one of each")
    of_arms = [path for arm in comparison.arms for path in comparison.arm_files(arm)]
    for path in (*comparison.configs, *comparison.backbones.values(), *of_arms):
        if not locate_config(path).is_file():
            raise InputError(
                f"{file}: configs, backbones and arms: {path} does not exist, fix the path{nearest_config(path)}"
            )
    if comparison.published is not None and not locate_config(comparison.published).is_file():
        raise InputError(f"{file}: published: {comparison.published} does not exist: fix the path, or take the key out")
    for path in comparison.datasets.values():
        if not (locate_config(path).exists() and store_of(path).is_dir()):
            raise InputError(f"{file}: datasets: {path} is no store and names none: make it with `gaze-vlm prepare`")
    if comparison.curve.arms and not comparison.curve.train_clips:
        raise InputError(f"{file}: curve.train_clips: empty, name the numbers of train clips of the curve")
    for name in comparison.backbones:
        check_name(name, f"{file}: backbones")
    for name in comparison.datasets:
        check_name(name, f"{file}: datasets")
    for name in comparison.also_test:
        check_name(name, f"{file}: also_test")
        if comparison.dataset_names == (name,):
            raise InputError(f"{file}: also_test: {name!r} is the data set of the comparison itself, name another")
    for key, templates in (("before_seed", comparison.before_seed), ("overrides", comparison.overrides)):
        for template in templates:
            try:
                template.format(seed=0, train_clips=1, arm="control", backbone="", dataset="")
            except (KeyError, IndexError, ValueError) as error:
                raise InputError(
                    f"{file}: {key}: {template!r} cannot be filled in ({error}), "
                    "use {seed}, {train_clips}, {arm}, {backbone} and {dataset}, and double any other brace"
                ) from error


def _parse(values: dict[str, Any], file: Path) -> Comparison:
    """The YAML's mapping as a `Comparison`; an empty key is its default.

    Types are checked by jsonargparse.
    """
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
