"""`flask verify`: run the checks and print each result as soon as it is known."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from app.cli.verify import (
    acceptance,
    capture,
    confirmation,
    delivery,
    endpoints,
    network,
    setup,
)
from app.cli.verify.checks import Check, Finished, Run, run_checks, worst
from app.cli.verify.projects import verify_projects
from app.output import one_line, say
from app.web.checks import Result
from app.web.current import (
    current_accounts,
    current_config,
    current_destinations,
    current_intake,
    current_release,
    current_store,
)
from config import Config

CHECKS = (
    Check("configuration", setup.configuration),
    Check("store", setup.store),
    Check("Sentry initialised", capture.sentry_initialised),
    Check("message captured", capture.message_captured, "Sentry initialised"),
    Check("exception captured", capture.exception_captured, "Sentry initialised"),
    Check("user context set", capture.user_context_set, "Sentry initialised"),
    Check("endpoints answer", endpoints.endpoints_answer),
    Check("DSN parses", network.dsn_parses),
    Check("resolves", network.resolves, "DSN parses"),
    Check("connects", network.connects, "resolves"),
    Check("TLS", network.tls, "connects"),
    Check("accepts", acceptance.accepts, "TLS"),
    Check("delivered", delivery.delivered, "accepts"),
)
CONFIRMED = Check("confirmed", confirmation.confirmed, "delivered")
EXIT_CODES = {Result.PASS: 0, Result.WARN: 1, Result.FAIL: 2}
MARKS = {
    Result.PASS: ("✓", "green"),
    Result.WARN: ("!", "yellow"),
    Result.FAIL: ("✗", "red"),
    Result.SKIP: ("-", "bright_black"),
}
NAME_WIDTH = max(len(check.name) for check in CHECKS)


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--project",
    "project",
    metavar="N|all",
    help="Send a test error of this project, or of each one, and say where it is.",
)
@click.option(
    "--confirm", is_flag=True, help="Also wait until Sentry's API shows the exception, 2 minutes."
)
@click.pass_context
@with_appcontext
def verify(context: click.Context, as_json: bool, project: str | None, confirm: bool) -> None:
    """Test the setup, from the configuration to the response of Sentry.

    The command captures two messages and an exception. They are stored and delivered like any other
    event. It also sends one event directly to the Sentry of SENTRY_DSN. All have the tag "verify".

    With --project it only sends a test error, as the project's program would, and waits up to 30
    seconds for Sentry. Repeated runs count in the same issue, so they notify nobody.

    \b
    Exit code:
      0  nothing is wrong; checks without their setting are skipped
      1  warnings
      2  something failed, or a setting is wrong; with --project: Sentry did not accept an error
         of a project that has a destination
    """
    if project is not None:
        with quiet(current_config()):
            context.exit(verify_projects(project, as_json))
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # of the proxy
    run = Run(
        app,
        config=current_config(),
        release=current_release(),
        store=current_store(),
        intake=current_intake(),
        accounts=current_accounts(),
        destinations=current_destinations(),
    )
    finished = run_checks((*CHECKS, CONFIRMED) if confirm else CHECKS, run)
    with quiet(run.config):
        done = list(finished) if as_json else _printed(run, finished)
    if as_json:
        say(*json.dumps(report(done), ensure_ascii=False, indent=2).split("\n"))
    context.exit(EXIT_CODES[worst(done)])


def report(finished: list[Finished]) -> dict[str, object]:
    """Return the output of ``--json``: ``status`` and the ``checks`` in order, times in ``ms``."""
    checks = [
        {
            "name": result.name,
            "result": result.verdict.result,
            "detail": result.verdict.detail,
            "mend": result.verdict.mend,
            "ms": result.ms,
        }
        for result in finished
    ]
    return {"status": worst(finished), "checks": checks}


def _printed(run: Run, finished: Iterable[Finished]) -> list[Finished]:
    done: list[Finished] = []
    for result in finished:
        # A fix that several checks in a row need is printed only once.
        said = bool(done) and done[-1].verdict.mend == result.verdict.mend
        say(*_lines(result, "" if said else result.verdict.mend), styled=True)
        done.append(result)
    counts = Counter(result.verdict.result for result in done)
    numbers = ", ".join(f"{counts[word]} {word}" for word in MARKS if counts[word])
    say("", f"{worst(done)}: {numbers}. The events of this run have the tag verify={run.id}")
    return done


def _lines(finished: Finished, mend: str) -> list[str]:
    mark, color = MARKS[finished.verdict.result]
    word = click.style(f"{mark} {finished.verdict.result}", fg=color)
    detail = one_line(finished.verdict.detail)
    lines = [f"{word}  {finished.name:<{NAME_WIDTH}}  {finished.ms:>6.0f} ms  {detail}"]
    indent = " " * (NAME_WIDTH + 21)
    return [*lines, *(f"{indent}→ {one_line(line)}" for line in mend.splitlines())]


@contextmanager
def quiet(config: Config) -> Iterator[None]:
    """Keep debug and info log lines out of the table, unless ``SENTRY_DEBUG`` is set."""
    before = logging.root.manager.disable
    if "SENTRY_DEBUG" not in config.model_fields_set:
        logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)
