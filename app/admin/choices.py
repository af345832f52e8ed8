"""Choices: the values in the address of a page; invalid values are ignored and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from app.projects import OWN_PROJECT_ID
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
    """The values that the address of a project's page has.

    :param opens_on: the id of the project to show if the address names none.
    :param values: by parameter, the valid values that differ from the defaults; always the project,
        so that a link does not depend on the project that one looked at last.
    :param problems: a sentence about each value that was invalid and ignored.
    """

    opens_on: int = OWN_PROJECT_ID
    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    # The default of every other parameter that always has a value.
    defaults: ClassVar[dict[str, str]]
    # Parameters that leave rows out of the page.
    narrows_by: ClassVar[tuple[str, ...]]
    # The allowed values of parameters that have a fixed set of them.
    known: ClassVar[dict[str, tuple[str, ...]]] = {}

    @property
    def project_id(self) -> int:
        """The id of the project that the page shows."""
        return int(self.values.get("project", self.opens_on))

    def of(self, name: str) -> str:
        """Return the value of a parameter, or its default; empty without either."""
        return self.values.get(name, self.defaults.get(name, ""))

    @property
    def narrowing(self) -> dict[str, str]:
        """The values that leave rows out, without the parameters that have a default."""
        return {name: value for name, value in self.values.items() if name in self.narrows_by}

    def but(self, **changed: str) -> dict[str, str]:
        """Return the parameters of the address with some changed; an empty value removes one."""
        values = {**self.values, **changed}
        return {name: v for name, v in values.items() if v and self.defaults.get(name) != v}

    def read(self, given: Mapping[str, str]) -> Self:
        """Read the values from an address or a form, and return the choice itself."""
        for name in ("project", *self.defaults, *self.narrows_by):
            value = clean_text(given.get(name, "").strip())[: MAX_LENGTHS.get(name, 40)]
            if not value or self.defaults.get(name) == value:
                continue
            if self._is_known(name, value):
                self.values[name] = value
            else:
                self.problems.append(f"There is no {name} “{value}”.")
        self.values.setdefault("project", str(self.opens_on))
        return self

    def _is_known(self, name: str, value: str) -> bool:
        if name == "project":
            return value.isascii() and value.isdigit() and len(value) < 10
        return name not in self.known or value in self.known[name]
