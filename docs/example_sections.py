"""An extension of griffe: our docstrings head an example `Example:`, and griffe knows the plural."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Show the lines below `Example:` as the code that they are."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Head the examples of one object as griffe reads them."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"(?m)^( *)Example:$", r"\1Examples:", obj.docstring.value)
