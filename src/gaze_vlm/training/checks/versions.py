"""Whether the packages that are installed fit each other."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "gaze-vlm-lightning"


def misfits(package: str = PACKAGE) -> list[str]:
    """List what a package needs, directly or not, and lacks in a fitting version.

    Args:
        package: name of an installed distribution; its extras are not looked at, those that it asks of others are.

    Returns:
        A sentence for each pair of versions that does not fit.
    """
    found: dict[str, None] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(package, frozenset())]
    while waiting:
        name, extras = one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for needed in requirements(name, extras):
            try:
                installed = version(needed.name)
            except PackageNotFoundError:
                found[f"{name} {version(name)} needs {needed}, which is not installed"] = None
                continue
            if not needed.specifier.contains(installed, prereleases=True):
                found[f"{name} {version(name)} needs {needed.name}{needed.specifier}, {installed} is installed"] = None
            waiting.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return sorted(found)


def requirements(package: str, extras: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    """Yield a distribution's requirements on this machine, with those of extras."""
    for line in requires(package) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield requirement
