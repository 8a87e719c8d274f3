"""What griffe gets wrong: parameters that share a line of a docstring have types of their own."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import griffe


class OwnTypes(griffe.Extension):
    """Give each parameter of a shared line the annotation that its signature has.

    Griffe reads ``a, b`` without a type as two parameters with the annotation of ``a``.
    """

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Correct the parsed docstring, which the pages are made of."""
        if func.docstring is None:
            return
        for section in func.docstring.parsed:
            if section.kind is griffe.DocstringSectionKind.parameters:
                for _, shared in groupby(section.value, key=lambda item: item.description):
                    self.give_own(func, list(shared))

    @staticmethod
    def give_own(func: griffe.Function, shared: list[Any]) -> None:
        """Replace annotations that were taken over from the first of the line."""
        first, *others = shared
        if first.name not in func.parameters:
            return
        if str(first.annotation) == str(func.parameters[first.name].annotation):
            for item in others:
                if item.name in func.parameters:
                    item.annotation = func.parameters[item.name].annotation
                    item.value = func.parameters[item.name].default
