"""Whether the packages that are installed fit each other."""

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

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
        own, requirements = read_installed(name)
        for needed in (requirement for requirement in requirements if is_meant(requirement, extras)):
            try:
                version, _ = read_installed(canonicalize_name(needed.name))
            except PackageNotFoundError:
                found[f"{name} {own} needs {needed}, which is not installed"] = None
                continue
            if not needed.specifier.contains(version, prereleases=True):
                found[f"{name} {own} needs {needed.name}{needed.specifier}, {version} is installed"] = None
            waiting.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return sorted(found)


@cache  # many packages need the same ones, and a process may check several trainings
def read_installed(package: str) -> tuple[str, list[Requirement]]:
    """Return a distribution's version and all its requirements, extras' included.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    metadata = distribution(package).metadata  # is parsed anew for each use
    return metadata["Version"], [Requirement(line) for line in metadata.get_all("Requires-Dist") or []]


def is_meant(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Return whether a requirement holds on this machine, with some extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}))
