"""Kinds that register themselves: a kind is one class, in a module of its package.

:meth:`Registry.load` imports every module of a package: a new kind needs a file there and no more.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import ClassVar, TypeVar


class Kind:
    """What every kind has.

    :cvar name: as it is stored and as the API names it, at most 16 characters.
    :cvar label: its name on the pages.
    :cvar position: its place in lists; kinds without one come last, by name.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    position: ClassVar[int]


AnyKind = TypeVar("AnyKind", bound=Kind)


class Registry(dict[str, AnyKind]):
    """Kinds by their names, in the order of lists."""

    def register(
        self, name: str, label: str, position: int = 1000
    ) -> Callable[[type[AnyKind]], type[AnyKind]]:
        """Return a decorator that adds a class, for what :class:`Kind` has."""

        def add(kind: type[AnyKind]) -> type[AnyKind]:
            kind.name, kind.label, kind.position = name, label, position
            self[name] = kind()
            return kind

        return add

    def load(self, package: str, path: Iterable[str]) -> None:
        """Import the modules of a package, which register their kinds."""
        for module in pkgutil.iter_modules(path):
            import_module(f"{package}.{module.name}")
        found = sorted(self.values(), key=lambda kind: (kind.position, kind.name))
        self.clear()
        self.update({kind.name: kind for kind in found})
