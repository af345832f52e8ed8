"""Choices: what the address of a page asks for; what cannot be read is left out, and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from app.protocol.event import clean_text

MAX_LENGTHS = {
    "q": 500,
    "transaction": 200,
    "name": 200,
    "model": 120,
    "operation": 64,
    "release": 250,
    "environment": 64,
}


@dataclass
class ProjectChoice:
    """What the address asks for of one project.

    :param values: what differs from what is shown without any, as far as it could be read.
    :param problems: what could not be read and was left out, in words.
    """

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    # Which project it is by default, and whatever else there always is a choice of.
    defaults: ClassVar[dict[str, str]]
    # What leaves things out.
    narrows_by: ClassVar[tuple[str, ...]]
    # What a value may be, where that is a choice of few.
    known: ClassVar[dict[str, tuple[str, ...]]] = {}

    @property
    def project_id(self) -> int:
        """The project that is looked at."""
        return int(self.of("project"))

    def of(self, name: str) -> str:
        """Return what is chosen, if only by default; empty where nothing is."""
        return self.values.get(name, self.defaults.get(name, ""))

    @property
    def narrowing(self) -> dict[str, str]:
        """What leaves something out, besides what there always is a choice of."""
        return {name: value for name, value in self.values.items() if name in self.narrows_by}

    def but(self, **changed: str) -> dict[str, str]:
        """Return the parameters of an address that differs in what is given; empty is none."""
        values = {**self.values, **changed}
        return {name: v for name, v in values.items() if v and self.defaults.get(name) != v}

    def read(self, given: Mapping[str, str]) -> Self:
        """Read the choice out of an address or a form."""
        for name in (*self.defaults, *self.narrows_by):
            value = clean_text(given.get(name, "").strip())[: MAX_LENGTHS.get(name, 40)]
            if not value or self.defaults.get(name) == value:
                continue
            if self._is_known(name, value):
                self.values[name] = value
            else:
                self.problems.append(f"There is no {name} “{value}”.")
        return self

    def _is_known(self, name: str, value: str) -> bool:
        if name == "project":
            return value.isascii() and value.isdigit() and len(value) < 10
        return name not in self.known or value in self.known[name]
