"""Checks, one after the other: each says pass, warn, fail or skip, and how to mend what is wrong.

A check is a function of the :class:`Run`. What it raises is a ``fail`` with the type's name, so
that the self-test of a broken service still ends, with every other check's word. A check that
fails blocks those that need it; a skip blocks only where it says so.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from flask import Flask

from app.accounts import Accounts
from app.delivery.destinations import Destinations
from app.intake import Intake
from app.protocol.dsn import Dsn
from app.protocol.scrub import Scrubber
from app.store import Store
from config import Config

T = TypeVar("T")
Word = Literal["pass", "warn", "fail", "skip"]
# What counts for the whole, mildest first; a skip is neither good nor bad.
SEVERITY: tuple[Word, ...] = ("skip", "pass", "warn", "fail")

# What one step over the network may take, in seconds. A Sentry that answers later than that keeps
# the forwarder busy, too.
TIMEOUT_S = 5.0
MAX_FOREIGN_CHARACTERS = 200


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    :param detail: one sentence or less.
    :param mend: what to do about it, one line for each thing.
    :param blocks: whether checks that need this one are skipped.
    """

    result: Word
    detail: str
    mend: str = ""
    blocks: bool = False


def passed(detail: str) -> Verdict:
    """Return a ``pass``."""
    return Verdict("pass", detail)


def warned(detail: str, mend: str) -> Verdict:
    """Return a ``warn``."""
    return Verdict("warn", detail, mend)


def failed(detail: str, mend: str) -> Verdict:
    """Return a ``fail``; what needs this check is skipped."""
    return Verdict("fail", detail, mend, blocks=True)


def combined(*verdicts: Verdict) -> Verdict:
    """Return one verdict with the worst of the words and all that was said."""
    return Verdict(
        max((verdict.result for verdict in verdicts), key=SEVERITY.index),
        "; ".join(dict.fromkeys(verdict.detail for verdict in verdicts if verdict.detail)),
        "\n".join(dict.fromkeys(verdict.mend for verdict in verdicts if verdict.mend)),
        any(verdict.blocks for verdict in verdicts),
    )


@dataclass
class Run:
    """One run of the self-test: what it looks at, and what one check leaves for the next.

    :param id: in the tag ``verify`` of every event of this run.
    :param target: where the DSN leads, once it is parsed.
    :param addresses: of the target's host, once it is resolved.
    :param exception_id: of the event of the captured exception.
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
        """Return the target; only for checks that need its parsing."""
        if self.target is None:
            raise RuntimeError("the DSN was not parsed")
        return self.target

    def clean(self, text: str) -> str:
        """Return somebody else's words fit for a terminal: one short line without our secrets."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "[Filtered]")
        line = "".join(letter if letter.isprintable() else " " for letter in text)
        line = " ".join(Scrubber().scrub_text(line).split())
        return line if len(line) <= MAX_FOREIGN_CHARACTERS else f"{line[:MAX_FOREIGN_CHARACTERS]}…"

    def _secrets(self) -> set[str]:
        config = self.config
        # Settings that a configuration does not show in its own repr are the secret ones.
        fields = type(config).model_fields.items()
        secrets = {getattr(config, name) for name, setting in fields if not setting.repr}
        secrets.add(self.store.url.password)
        if config.SENTRY_DSN:
            target = Dsn.of(config.SENTRY_DSN)
            secrets |= {target.key, target.secret}
        return {str(secret) for secret in secrets if secret}


class Check(NamedTuple):
    """A step of the self-test; ``needs`` names the earlier one that it stands on."""

    name: str
    look: Callable[[Run], Verdict]
    needs: str | None = None


class Finished(NamedTuple):
    """A check that was run or skipped; ``ms`` is how long it took."""

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


def worst(finished: list[Finished]) -> Word:
    """Return ``pass``, ``warn`` or ``fail`` for the whole."""
    words: list[Word] = ["pass", *(check.verdict.result for check in finished)]
    return max(words, key=SEVERITY.index)


def within(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function on a thread of its own and wait for it at most so long.

    A socket's timeout bounds each of its reads, not all of them together, and name resolution has
    none at all. The thread of a call that never ends ends with the process.

    :raise TimeoutError: it took longer.
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
    if needed.result == "skip":
        return needed
    return Verdict("skip", f"not tried, because “{check.needs}” failed", blocks=True)


def _looked(check: Check, run: Run) -> Verdict:
    try:
        return check.look(run)
    except Exception as error:
        said = run.clean(str(error))
        return failed(
            f"{type(error).__name__}: {said}" if said else type(error).__name__,
            "look this error up; if it says nothing to you, report it as a bug of `flask verify`",
        )
