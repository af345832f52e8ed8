"""Attacks on a running service: what each tries, what it costs, whether others are served.

Each module of this package has a list ``ATTACKS``. `make chaos` runs all attacks and prints a line
for each.
"""

from __future__ import annotations

import importlib
import pkgutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Outcome(NamedTuple):
    """The result of an attack.

    :param cost: the cost for the service, with units.
    :param served: how other clients were served during the attack.
    :param held: whether the limits in the docstring of the attack's module were kept.
    """

    cost: str
    served: str
    held: bool


class Attack(NamedTuple):
    """An attack; ``run`` gets an empty data folder and starts the service itself."""

    tried: str
    run: Callable[[Path], Outcome]


def main() -> bool:
    """Run every attack and print a line for each; return whether all limits held."""
    outcomes = [_run(attack) for attack in attacks()]
    print(f"\n  {'what was tried':58} {'what it cost':34} {'others':34} held")
    for attack, outcome in zip(attacks(), outcomes, strict=True):
        held = "yes" if outcome.held else "NO"
        print(f"  {attack.tried:58} {outcome.cost:34} {outcome.served:34} {held}")
    return all(outcome.held for outcome in outcomes)


def attacks() -> Iterator[Attack]:
    """Yield the attacks of every module, in the order of the modules' names."""
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        yield from importlib.import_module(f"{__name__}.{module}").ATTACKS


def _run(attack: Attack) -> Outcome:
    print(f"  {attack.tried} …", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return attack.run(Path(folder) / "data")
