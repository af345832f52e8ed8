"""The filter of a list, read from the address; invalid values are ignored and reported.

``templates/_filter_bar.html`` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import request

from app.inputs import Control, Filter, controls_of
from app.inputs.period import read_moment
from app.protocol.event import clean_text

Form = TypeVar("Form", bound=Filter)
# The parameters of the range of time.
OF_RANGE = {"period", "start", "end"}


@dataclass(frozen=True)
class ListChoice(Generic[Form]):
    """The filter in the address of a list.

    :param form: the filter, with the fields that only the page has.
    :param values: by parameter, the values that differ from the defaults.
    :param problems: a sentence about each value that was invalid and ignored.
    """

    form: Form
    values: dict[str, str]
    problems: list[str]

    @property
    def controls(self) -> dict[str, Control]:
        """The form control of each parameter."""
        return controls_of(type(self.form))

    @property
    def narrowing(self) -> dict[str, str]:
        """The values that leave rows out, without the range and parameters with a default."""
        return {
            name: value
            for name, value in self.values.items()
            if not self.controls[name].default and name not in OF_RANGE
        }

    def of(self, name: str) -> str:
        """Return the value of a parameter, or its default; empty without either."""
        return self.values.get(name, self.controls[name].default)

    def but(self, **changed: str) -> dict[str, str]:
        """Return the parameters of the address with some changed; an empty value removes one."""
        values = {**self.values, **changed}
        defaults = {name: control.default for name, control in self.controls.items()}
        return {name: v for name, v in values.items() if v and defaults.get(name) != v}


def read_choice(form: type[Form], given: Mapping[str, str]) -> ListChoice[Form]:
    """Read a filter from an address or a form."""
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
    """Read the number of a row from the address; ``None`` if it is not a number."""
    text = request.args.get(name, "")
    # No database has row numbers of more than 64 bits.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _text(given: Mapping[str, str], control: Control) -> str:
    text = clean_text(given.get(control.name, "").strip())
    return text[: control.max_length] or control.default


def _value(control: Control, text: str) -> Any:
    # A range reads its own times. The empty text is refused: it is not a date and time.
    is_other = control.is_moment and control.name not in OF_RANGE
    return read_moment(text) or "" if is_other else text


def _shown(value: Any, text: str) -> str:
    return str(value) if isinstance(value, int) else text


def _problem(control: Control, text: str) -> str:
    if control.is_moment and read_moment(text) is None:
        return f"“{text}” is not a date and time."
    if control.is_moment:
        return f"“{text}” makes no range: the end has to be after the start, without a period."
    return f"There is no {control.label.lower()} “{text}”."
