"""Checks of what is installed: Python, packages, commands on the PATH, what ships."""

import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from platform import python_version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from gaze_vlm.doctor.installation import Finding
from gaze_vlm.errors import UserError
from gaze_vlm.packaged_file import checked_path
from gaze_vlm.shipped.checkpoints import shipped_checkpoints
from gaze_vlm.shipped.configs import shipped_configs

PACKAGE = "gaze-vlm-lightning"
NAMESAKE = "gaze-vlm"
COMMANDS = ("gaze-vlm", "lightning")
OURS = re.compile(r"^(from|import) gaze_vlm\b", re.MULTILINE)  # not the path of its Python, which a checkout is in


def check_python() -> Iterator[Finding]:
    """Check the interpreter against `requires-python`."""
    asked = distribution(PACKAGE).metadata["Requires-Python"]
    text, fix = f"{python_version()}, {sys.executable}", "install it with such a Python: docs/install.md"
    if SpecifierSet(asked).contains(python_version(), prereleases=True):
        yield Finding("Python", "ok", text)
    else:
        yield Finding("Python", "problem", f"{text}: this package needs {asked}", fix)


def _asked() -> list[Requirement]:
    return [Requirement(line) for line in distribution(PACKAGE).requires or ()]


def check_packages() -> Iterator[Finding]:
    """Check installed packages against the ranges of pyproject.toml; those of an extra are no problem, but a doubt."""
    asked = _asked()
    must = {one: one.marker is None or one.marker.evaluate({"extra": ""}) for one in asked}
    needed = {one.name for one in asked if must[one]}
    good = set(needed)
    for one in asked:
        installed = _version(one.name)
        fix = f"pip install '{one.name}{one.specifier}'"
        if installed is None and must[one]:
            good.discard(one.name)
            yield Finding(one.name, "problem", "is not installed", fix)
        elif installed is not None and not one.specifier.contains(installed, prereleases=True):
            text = f"{installed} is installed, and the range is {one.specifier}"
            if must[one]:
                good.discard(one.name)
                yield Finding(one.name, "problem", text, fix)
            else:
                yield Finding(one.name, "warning", f"{text} for {one.marker}", fix)
    yield Finding("packages", "ok", f"{len(good)} of {len(needed)} are in the ranges of pyproject.toml")


def check_torchvision() -> Iterator[Finding]:
    """Check that torchvision was built for the torch that is installed."""
    torch, torchvision = distribution("torch").version, distribution("torchvision")
    for one in map(Requirement, torchvision.requires or ()):
        if one.name == "torch" and not one.specifier.contains(torch, prereleases=True):
            text = f"{torchvision.version} is built for torch{one.specifier}, and torch is {torch}"
            ours = [f"{of.name}{of.specifier}" for of in _asked() if of.name in ("torch", "torchvision")]
            fix = f"{shlex.join(['pip', 'install', '--upgrade', *ours])}, both in one command"
            yield Finding("torchvision", "problem", text, fix)


def check_namesake() -> Iterator[Finding]:
    """Check that the package on PyPI whose name is `gaze-vlm` is not here: it is another project."""
    if _version(NAMESAKE) is not None:
        text = f"the package {NAMESAKE} is installed, which is another project: its command and modules may hide ours"
        yield Finding(NAMESAKE, "problem", text, f"pip uninstall {NAMESAKE}, and install this package again")


def check_commands() -> Iterator[Finding]:
    """Check which programs the commands' names lead to on the PATH."""
    ours = Path(sysconfig.get_path("scripts"))
    instead = f"or run `{sys.executable} -m gaze_vlm` in its place"
    activate = f"activate the environment: `. {ours / 'activate'}`; {instead}"
    for name in COMMANDS:
        found, script, others = shutil.which(name), ours / name, ", ".join(_others_with(name))
        if script.is_file() and not OURS.search(script.read_text(encoding="utf-8", errors="replace")):
            text = f"{script} is not ours: {others or 'another package'} wrote it"
            fix = f"install this package again, with pip's --force-reinstall --no-deps; {instead}"
            yield Finding(name, "problem", text, fix)
        elif found is None:
            yield Finding(name, "warning", "is not on the PATH", activate)
        elif Path(found).resolve() != script.resolve():
            text = f"on the PATH is {found}, which is not of this environment ({ours})"
            yield Finding(name, "problem", text, activate)
        elif others:
            text = f"{found}, and {others} has a command of this name too: what is installed last counts"
            yield Finding(name, "warning", text, f"run doctor again after an update of {others}; {instead}")
        else:
            yield Finding(name, "ok", found)


def _others_with(command: str) -> list[str]:
    """Other packages that have a command of this name."""
    scripts = entry_points(group="console_scripts", name=command)
    return sorted({script.dist.name for script in scripts if script.dist is not None} - {PACKAGE})


def check_shipped() -> Iterator[Finding]:
    """Check that configurations and checkpoints came with the package."""
    text = f"{len(shipped_configs())} configurations, {', '.join(shipped_checkpoints()) or 'no checkpoint'}"
    if shipped_configs() and shipped_checkpoints():
        yield Finding("what ships", "ok", text)
    else:
        yield Finding("what ships", "problem", text, "install again: the files of the package are not complete")


def check_sentence_encoder() -> Iterator[Finding]:
    """Check the package that holds the sentence encoder of the semantic score."""
    from gaze_vlm.metrics.sentence_encoder import TOKENIZER, WEIGHTS

    try:
        file = checked_path(WEIGHTS)
        checked_path(TOKENIZER)
    except UserError as error:
        text, _, fix = str(error).partition(": ")
        yield Finding("sentence encoder", "problem", text, fix)
        return
    text = f"all-MiniLM-L6-v2 of the package {WEIGHTS.package}, {file.stat().st_size / 1e6:.0f} MB"
    yield Finding("sentence encoder", "ok", text)


def _version(name: str) -> str | None:
    try:
        found: Distribution = distribution(name)
    except PackageNotFoundError:
        return None
    return found.version
