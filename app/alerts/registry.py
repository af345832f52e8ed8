"""Registries of kinds. A kind is one class in a module of its package, and registers itself.

:meth:`Registry.load` imports every module of a package. So a new kind only needs a file there.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import ClassVar, TypeVar


class Kind:
    """The base class of kinds.

    :cvar name: its name in the store and in the API, at most 16 characters.
    :cvar label: its name on the pages.
    :cvar position: its place in lists. Kinds without a position come last, by name.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    position: ClassVar[int]


AnyKind = TypeVar("AnyKind", bound=Kind)


class Registry(dict[str, AnyKind]):
    """Kinds by name, in the order of lists."""

    def register(
        self, name: str, label: str, position: int = 1000
    ) -> Callable[[type[AnyKind]], type[AnyKind]]:
        """Return a decorator that registers a class. For the parameters see :class:`Kind`."""

        def add(kind: type[AnyKind]) -> type[AnyKind]:
            kind.name, kind.label, kind.position = name, label, position
            self[name] = kind()
            return kind

        return add

    def load(self, package: str, path: Iterable[str]) -> None:
        """Import all modules of a package, so that they register their kinds."""
        for module in pkgutil.iter_modules(path):
            import_module(f"{package}.{module.name}")
        found = sorted(self.values(), key=lambda kind: (kind.position, kind.name))
        self.clear()
        self.update({kind.name: kind for kind in found})
