"""What a family of instances is: a law, and the settings of its maker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import InputError
from ..instance import Instance
from ..shown import suggestion
from .setting import Setting, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A named law of instances.

    Attributes
    ----------
    name : str
        Name for ``make``.
    description : str
        One line for lists.
    source : str
        Where the law comes from.
    settings : tuple of Setting
        What a caller may set.
    make : callable
        ``make(rng, **settings) -> Instance``; every draw comes from the `numpy.random.Generator`.
    """

    name: str
    description: str
    source: str
    settings: tuple[Setting, ...]
    make: Callable[..., Instance]

    def read(self, given: Mapping[str, object]) -> dict[str, Value | None]:
        """Return every setting's value: as given (checked), or its default.

        Raises
        ------
        InputError
            If a key is unknown, or a value has a wrong type or range.
        """
        known = {setting.name: setting for setting in self.settings}
        for key in given:
            if key not in known:
                raise InputError(
                    f"{self.name}: expected settings among {', '.join(known)}; found {key!r}"
                    f"{suggestion(key, known)}"
                )
        try:
            return {
                name: setting.read(given[name]) if name in given else setting.default
                for name, setting in known.items()
            }
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
