"""Checks of the self-test: each returns pass, warn, fail or skip, and says how to fix a problem.

A check is a function that takes the :class:`Run`. An exception in a check becomes a ``fail`` with
the name of its type. So the self-test of a broken service still ends, with the results of all other
checks. A failed check blocks the checks that need it. A skipped check blocks them only if its
verdict says so.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from flask import Flask

from app.accounts import Accounts
from app.delivery.destinations import Destinations
from app.intake import Intake
from app.protocol.dsn import Dsn
from app.protocol.scrub import Scrubber
from app.store import Store
from app.web.checks import Result, Verdict, combined, failed, passed
from config import Config

T = TypeVar("T")

# The time limit of one step over the network, in seconds. A Sentry that answers later than this
# also keeps the forwarder busy.
TIMEOUT_S = 5.0
MAX_FOREIGN_CHARACTERS = 200


@dataclass
class Run:
    """A run of the self-test: the services to check, and results that later checks need.

    :param id: the value of the tag ``verify`` on every event of this run.
    :param target: the parsed DSN; ``None`` before it is parsed.
    :param addresses: the addresses of the target's host; empty before it is resolved.
    :param exception_id: the id of the event of the captured exception.
    """

    app: Flask
    config: Config
    release: str
    store: Store
    intake: Intake
    accounts: Accounts
    destinations: Destinations
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    target: Dsn | None = None
    addresses: list[Any] = field(default_factory=list)
    exception_id: str = ""

    def aim(self) -> Dsn:
        """Return the parsed DSN; only for checks that run after it is parsed."""
        if self.target is None:
            raise RuntimeError("the DSN was not parsed")
        return self.target

    def clean(self, text: str) -> str:
        """Return the text of another program as one short line for a terminal, without secrets."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "[Filtered]")
        line = "".join(letter if letter.isprintable() else " " for letter in text)
        line = " ".join(Scrubber().scrub_text(line).split())
        return line if len(line) <= MAX_FOREIGN_CHARACTERS else f"{line[:MAX_FOREIGN_CHARACTERS]}…"

    def _secrets(self) -> set[str]:
        config = self.config
        # The secret settings are those that the repr of a configuration does not show.
        fields = type(config).model_fields.items()
        secrets = {getattr(config, name) for name, setting in fields if not setting.repr}
        secrets.add(self.store.url.password)
        if config.SENTRY_DSN:
            target = Dsn.of(config.SENTRY_DSN)
            secrets |= {target.key, target.secret}
        return {str(secret) for secret in secrets if secret}


class Check(NamedTuple):
    """A step of the self-test; ``needs`` names an earlier check that must not fail."""

    name: str
    look: Callable[[Run], Verdict]
    needs: str | None = None


class Finished(NamedTuple):
    """A check that was run or skipped; ``ms`` is its duration in milliseconds."""

    name: str
    verdict: Verdict
    ms: float


def run_checks(checks: tuple[Check, ...], run: Run) -> Iterator[Finished]:
    """Run checks in order and yield each as soon as it is done."""
    done: dict[str, Verdict] = {}
    for check in checks:
        started = time.perf_counter()
        verdict = _blocked(check, done) or _looked(check, run)
        done[check.name] = verdict
        yield Finished(check.name, verdict, round((time.perf_counter() - started) * 1000, 1))


def worst(finished: list[Finished]) -> Result:
    """Return the worst result: ``pass``, ``warn`` or ``fail``."""
    return combined(passed(), *(check.verdict for check in finished)).result


def within(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function on a separate thread and return its result, within a time limit.

    The timeout of a socket limits each read, not all reads together. Name resolution has no timeout
    at all. If the call never returns, its thread ends with the process.

    :param seconds: the time limit.
    :raise TimeoutError: the call took longer.
    """
    answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put((function(*arguments), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=call, name="verify", daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"nothing within {seconds:g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where the function returns None


def _blocked(check: Check, done: dict[str, Verdict]) -> Verdict | None:
    needed = done.get(check.needs) if check.needs else None
    if needed is None or not needed.blocks:
        return None
    if needed.result == Result.SKIP:
        return needed
    return Verdict(Result.SKIP, f"not tried, because “{check.needs}” failed", blocks=True)


def _looked(check: Check, run: Run) -> Verdict:
    try:
        return check.look(run)
    except Exception as error:
        said = run.clean(str(error))
        return failed(
            f"{type(error).__name__}: {said}" if said else type(error).__name__,
            "look this error up; if it says nothing to you, report it as a bug of `flask verify`",
        )
