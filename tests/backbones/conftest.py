"""Every family in turn, and its tiny checkpoint."""

from every_family import checkpoint, family  # noqa: F401 (fixtures)
