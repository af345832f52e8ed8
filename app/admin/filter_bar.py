"""The filter of a list, read from the address of its page; what is wrong is left out and named.

``templates/_filter_bar.html`` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from flask import request

from app.inputs import Control, Filter, controls_of
from app.protocol.event import clean_text

Form = TypeVar("Form", bound=Filter)


@dataclass(frozen=True)
class ListChoice(Generic[Form]):
    """What the address of a list asks for.

    :param form: the filter, with what only the page asks for.
    :param values: by parameter, those that differ from what the list shows by itself.
    :param problems: what was wrong and was left out, in words.
    """

    form: Form
    values: dict[str, str]
    problems: list[str]

    @property
    def controls(self) -> dict[str, Control]:
        """How the page asks for each parameter."""
        return controls_of(type(self.form))

    @property
    def narrowing(self) -> dict[str, str]:
        """What leaves something out, besides what there always is a choice of."""
        return {
            name: value for name, value in self.values.items() if not self.controls[name].default
        }

    @property
    def only_period(self) -> bool:
        """Whether the list is narrowed by time alone."""
        return bool(self.values) and self.values.keys() <= {"period", "from", "to"}

    def of(self, name: str) -> str:
        """Return what is chosen, if only by default; empty where nothing is."""
        return self.values.get(name, self.controls[name].default)

    def but(self, **changed: str) -> dict[str, str]:
        """Return the parameters of an address that differs in what is given; empty is nothing."""
        values = {**self.values, **changed}
        defaults = {name: control.default for name, control in self.controls.items()}
        return {name: v for name, v in values.items() if v and defaults.get(name) != v}


def read_choice(form: type[Form], given: Mapping[str, str]) -> ListChoice[Form]:
    """Read a filter out of an address or a form."""
    texts = {control: _text(given, control) for control in controls_of(form).values()}
    texts = {control: text for control, text in texts.items() if text != control.default}
    values = {control.field: _value(control, text) for control, text in texts.items()}
    read, wrong = form.read_leniently(values)
    choice = ListChoice(read, {}, [])
    for control, text in texts.items():
        if control.field in wrong:
            choice.problems.append(_problem(control, text))
        else:
            choice.values[control.name] = _shown(getattr(read, control.field), text)
    return choice


def row_number(name: str) -> int | None:
    """Read a row's number out of the address; ``None`` when it is not a number."""
    text = request.args.get(name, "")
    # Beyond 64 bits no database has a row.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def moment_of(text: str) -> datetime | None:
    """Read what a date and time field sends; ``None`` when it is not one."""
    # What <input type="datetime-local"> sends has no time zone; the pages speak UTC.
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(given: Mapping[str, str], control: Control) -> str:
    text = clean_text(given.get(control.name, "").strip())
    return text[: control.max_length] or control.default


def _value(control: Control, text: str) -> Any:
    # An empty text is no moment either, and refused as such.
    return moment_of(text) or "" if control.is_moment else text


def _shown(value: Any, text: str) -> str:
    return str(value) if isinstance(value, int) else text


def _problem(control: Control, text: str) -> str:
    if control.is_moment:
        return f"“{text}” is not a date and time."
    return f"There is no {control.label.lower()} “{text}”."
