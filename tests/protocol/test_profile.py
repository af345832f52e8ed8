"""Profiles: samples are added up by stack, and nonsense is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.protocol import profile as module
from app.protocol.profile import Call, Profile, read_profile

FRAMES = [
    {"function": "main", "module": "shop", "filename": "shop.py", "in_app": True},
    {"function": "total", "module": "shop", "filename": "shop.py", "lineno": 7},
    {"function": "get", "module": "requests", "filename": "api.py", "in_app": False},
    {"function": "total", "module": "shop", "filename": "shop.py", "lineno": 9},
]


def payload(stacks: list[list[Any]], samples: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"profile": {"frames": FRAMES, "stacks": stacks, "samples": samples} | more}


def sampled(*stack_ids: Any, thread: str = "1") -> list[dict[str, Any]]:
    """Return samples of a thread, 10 ms apart."""
    return [
        {"stack_id": one, "thread_id": thread, "elapsed_since_start_ns": str(number * 10_000_000)}
        for number, one in enumerate(stack_ids)
    ]


def tree(call: Call) -> dict[str, Any]:
    """Return the calls of a call: name, samples, own samples, calls."""
    return {
        function.name: (one.samples, one.own, tree(one)) for function, one in call.calls.items()
    }


def read(given: object, thread: str | None = None) -> Profile:
    found = read_profile(given, thread)
    assert found
    return found


def test_samples_are_added_up_by_the_path_of_their_calls() -> None:
    # Innermost first. The lines of a function are one call.
    stacks = [[2, 1, 0], [3, 0], [0]]
    found = read(payload(stacks, sampled(0, 0, 1, 0, 2)))
    assert tree(found.root) == {"main": (5, 1, {"total": (4, 1, {"get": (3, 3, {})})})}
    assert (found.thread.samples, found.thread.ms) == (5, 40)
    assert [(hot.function.name, hot.own, hot.samples) for hot in found.hot] == [
        ("get", 3, 3),
        ("main", 1, 5),
        ("total", 1, 4),
    ]
    assert [hot.function.in_app for hot in found.hot] == [False, True, True]


def test_recursion_counts_a_sample_once() -> None:
    found = read(payload([[0, 0, 0]], sampled(0, 0)))
    assert tree(found.root) == {"main": (2, 0, {"main": (2, 0, {"main": (2, 2, {})})})}
    assert [(hot.own, hot.samples) for hot in found.hot] == [(2, 2)]


def test_thread_is_chosen_and_otherwise_the_busiest() -> None:
    names = {"2": {"name": "worker"}}
    samples = [*sampled(0, 0, 0, thread="1"), *sampled(1, 2, thread="2"), *sampled(0, thread="3")]
    whole = payload([[0], [2], [1]], samples, thread_metadata=names)
    busiest, chosen, unknown = read(whole), read(whole, "1"), read(whole, "9")
    assert [(one.id, one.name, one.samples) for one in busiest.threads] == [
        ("2", "worker", 2),
        ("1", "", 3),
        ("3", "", 1),
    ]
    assert tree(busiest.root) == tree(unknown.root) == {"get": (1, 1, {}), "total": (1, 1, {})}
    assert tree(chosen.root) == {"main": (3, 3, {})} and chosen.thread.ms == 20
    for active in (
        {"transaction": {"active_thread_id": 3}},
        {"transactions": [{"active_thread_id": "3"}]},
    ):
        assert read(active | whole).thread.id == "3" and read(active | whole).thread.ms is None


def test_part_of_a_continuous_profile_has_times_in_seconds() -> None:
    samples = [{"stack_id": 0, "thread_id": 7, "timestamp": 1.5e9 + n / 10} for n in range(3)]
    found = read({"version": "2"} | payload([[0]], samples))
    assert found.thread.id == "7" and found.thread.ms == pytest.approx(200)


def test_deep_stacks_and_many_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = read(payload([[0, 1, 2] * 1000], sampled(0)))
    call, depth = deep.root, 0
    while call.calls:
        (call,), depth = call.calls.values(), depth + 1
    assert depth == module.MAX_DEPTH and deep.is_cut
    assert sum(hot.own for hot in deep.hot) == 1
    monkeypatch.setattr(module, "MAX_CALLS", 2)
    many = read(payload([[0], [1], [2]], sampled(0, 0, 0, 1, 1, 2)))
    assert tree(many.root) == {"main": (3, 3, {}), "total": (2, 2, {})} and many.is_cut
    assert many.root.samples == 6


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        [],
        {"profile": "H4sI"},
        {"sampled_profile": "SLOW"},
        payload([], sampled(0)),
        payload([[]], sampled(0)),
        payload([[99, -1, True, "0"]], sampled(0, -1, None, "x", 1e300)),
    ],
)
def test_profile_without_a_readable_sample_is_none(nothing: object) -> None:
    assert read_profile(nothing) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("stack_id thread_id function name timestamp 1".split()),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(frames=ANY, stacks=ANY, samples=ANY, names=ANY)
def test_nonsense_is_left_out(frames: Any, stacks: Any, samples: Any, names: Any) -> None:
    parts = {"frames": frames, "stacks": stacks, "samples": samples, "thread_metadata": names}
    found = read_profile({"profile": parts})
    assert found is None or found.root.samples > 0
    mixed = payload([[0, frames], stacks], [*sampled(0), samples], thread_metadata=names)
    assert read(mixed).hot[0].function.name == "main"
