"""Which exception of a chain names an issue: type, title and culprit follow it."""

from __future__ import annotations

import pytest

from tests.issues.payloads import Payload, chain, error, exc, in_group, py, read


def library(call: str) -> Payload:
    return py(call, in_app=False)


OWN = exc(py("com.acme.CartActivity:onCreate"), type="NullPointerException", value="no cart")
WRAPPER = exc(
    library("android.app.ActivityThread:main"),
    type="RuntimeException",
    value="Unable to start activity: NullPointerException: no cart",
)


def test_wrapper_of_a_library_gives_way_to_the_exception_of_the_application() -> None:
    event = read(chain(OWN, WRAPPER))

    assert event.type == "NullPointerException"
    assert event.title == "NullPointerException: no cart (in CartActivity.onCreate)"
    assert event.culprit == "com.acme.CartActivity in onCreate"


def test_wrapper_of_the_application_names_the_issue() -> None:
    own = exc(py("shop.pay:charge"), type="PaymentError", value="card declined")

    event = read(chain(OWN, own))

    assert event.title == "PaymentError: card declined"
    assert event.culprit == "shop.pay in charge"


def test_nearest_of_two_exceptions_of_the_application_decides() -> None:
    deeper = exc(py("shop.db:load"), type="KeyError")

    assert read(chain(deeper, OWN, WRAPPER)).type == "NullPointerException"


@pytest.mark.parametrize("in_app", [False, None])
def test_outermost_names_the_issue_where_no_exception_has_calls_of_the_application(
    in_app: bool | None,
) -> None:
    frames = [py(f"java.util.{name}:run", in_app=in_app) for name in ("List", "Map")]
    event = read(chain(exc(frames[0], type="Inner"), exc(frames[1], type="Outer", value="x")))

    assert event.title == "Outer: x"
    assert event.culprit == "java.util.Map in run"


def test_outermost_names_the_issue_where_no_exception_has_a_stack() -> None:
    assert read(chain(exc(type="Inner"), exc(type="Outer", value="x"))).title == "Outer: x"


def test_unmarked_calls_are_told_by_their_place() -> None:
    inner = exc(py("shop.pay:charge", in_app=None), type="Inner", value="x")
    outer = exc(py("java.util.concurrent.Future:get", in_app=None), type="ExecutionException")

    assert read(chain(inner, outer)).title == "Inner: x (in pay.charge)"


def test_group_of_the_application_names_the_issue_and_not_its_members() -> None:
    assert read(in_group(exc(py("shop.tasks:fetch"), type="A"))).type == "ExceptionGroup"


@pytest.mark.parametrize(("types", "expected"), [("AA", "A"), ("AB", "TaskGroup")])
def test_group_of_a_library_is_its_member_where_it_has_one_kind(types: str, expected: str) -> None:
    members = [
        {
            **exc(py("shop.tasks:fetch"), type=type),
            "mechanism": {"exception_id": n, "parent_id": 0, "source": f"exceptions[{n - 1}]"},
        }
        for n, type in enumerate(types, 1)
    ]
    group = exc(library("tasks:wait"), type="TaskGroup")
    group["mechanism"] = {"exception_id": 0, "is_exception_group": True}

    assert read(chain(*members, group)).type == expected


def test_library_that_calls_back_gives_way_to_what_went_on_from_the_same_calls() -> None:
    filter = py("shop.Filter:doFilter"), library("servlet.Chain:next")
    inner = exc(*filter, py("shop.Cart:open"), type="Inner")

    assert read(chain(inner, exc(*filter, type="ServletException"))).type == "Inner"


def test_library_that_failed_below_the_application_names_the_issue() -> None:
    calls = py("shop.Cart:open"), library("orm.Query:run")
    driver = exc(*calls, library("driver:send"), type="DriverError")

    assert read(chain(driver, exc(*calls, type="QueryError"))).type == "QueryError"


def test_single_exception_has_no_place_in_its_title() -> None:
    assert read(error(py("shop.pay:charge"), type="E", value="x")).title == "E: x"
