"""Griffe extension: "Example:" is a section of examples, as "Examples:" is by itself."""

import re

import griffe


class Example(griffe.Extension):
    """Names the section as Google's style does for several."""

    def on_object(self, *, obj, **kwargs):
        """Rename the heading in the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
