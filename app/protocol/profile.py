"""A profile: samples of the stacks of threads, added up to a tree of calls.

    samples ── count by stack ── stacks, outermost frame first ── tree: calls with their samples

Both formats with samples are read, ``profile`` and ``profile_chunk``. Everything is lenient: a
sample without a stack, or a stack with a frame that is not there, is left out.

Source: https://develop.sentry.dev/sdk/telemetry/profiles/ (Sample Format V1 and V2), 2026-11-28.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.protocol.lenient import (
    read_dict,
    read_int,
    read_list,
    read_name,
    read_number,
    read_text,
)

# Of a stack, its outermost frames; and calls of the tree, those with most samples.
MAX_DEPTH, MAX_CALLS = 200, 50_000
MAX_THREADS, MAX_TEXT = 100, 200


class Function(NamedTuple):
    """A function, whatever line of it was executed."""

    name: str
    module: str
    file: str
    in_app: bool


@dataclass(eq=False)
class Call:
    """A function as it was called along one path.

    :param samples: in which it was on the stack; ``own``: in which it was the innermost frame.
    """

    function: Function | None
    parent: Call | None
    samples: int = 0
    own: int = 0
    calls: dict[Function, Call] = field(default_factory=dict)


class Thread(NamedTuple):
    """A thread that was sampled.

    :param ms: from its first to its last sample; ``None`` if the times are not known.
    """

    id: str
    name: str
    samples: int
    ms: float | None


class Hot(NamedTuple):
    """A function, with the samples in which it was the innermost frame, and in which it was any."""

    function: Function
    own: int
    samples: int


@dataclass(frozen=True)
class Profile:
    """What was sampled of one thread.

    :param threads: all of them, the one with most different stacks first.
    :param root: stands for all samples of the thread.
    :param hot: the functions, those with most samples of their own first.
    :param is_cut: whether the tree has not all calls, since there are too many or too deep ones.
    """

    threads: list[Thread]
    thread: Thread
    root: Call
    hot: list[Hot]
    is_cut: bool


def read_profile(payload: object, thread_id: str | None = None) -> Profile | None:
    """Return the calls of a thread, ``None`` if there are no samples to read.

    :param payload: of the item.
    :param thread_id: the thread; if there is no such thread, that of the transaction, or the one
        with most different stacks.
    """
    whole = read_dict(payload)
    profile = read_dict(whole.get("profile"))
    stacks = _Stacks(read_list(profile.get("stacks")), read_list(profile.get("frames")))
    samples = [one for one in map(read_dict, read_list(profile.get("samples"))) if stacks.of(one)]
    counts = _counts(samples)
    threads = _threads(counts, _times(samples), read_dict(profile.get("thread_metadata")))
    if not threads:
        return None
    wanted = (thread_id, read_text(transaction_of(whole).get("active_thread_id")))
    known = {one.id: one for one in threads}
    thread = next((known[one] for one in wanted if one in known), threads[0])
    tree = _Tree()
    for stack_id, count in counts[thread.id].most_common():
        tree.add(stacks.path(stack_id), count)
    return Profile(threads[:MAX_THREADS], thread, tree.root, tree.hot(), tree.is_cut)


def transaction_of(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what a profile says about its transaction; SDKs of Python send a list of one."""
    several = read_list(payload.get("transactions"))
    return read_dict(payload.get("transaction") or (several[0] if several else None))


class _Tree:
    def __init__(self) -> None:
        self.root = Call(None, None)
        self.is_cut = False
        self._size = 0
        self._own: Counter[Function] = Counter()
        self._samples: Counter[Function] = Counter()

    def add(self, path: Sequence[Function], count: int) -> None:
        """Add samples of a stack, whose outermost frame is first."""
        call = self.root
        call.samples += count
        for function in path[:MAX_DEPTH]:
            known = call.calls.get(function)
            if known is None and self._size == MAX_CALLS:
                self.is_cut = True
                break
            call = known or self._new(function, call)
            call.samples += count
        call.own += count
        self.is_cut |= len(path) > MAX_DEPTH
        self._own[path[-1]] += count
        for function in set(path):
            self._samples[function] += count

    def _new(self, function: Function, parent: Call) -> Call:
        self._size += 1
        parent.calls[function] = Call(function, parent)
        return parent.calls[function]

    def hot(self) -> list[Hot]:
        found = [Hot(one, self._own[one], count) for one, count in self._samples.items()]
        return sorted(found, key=lambda one: (-one.own, -one.samples, one.function))


class _Stacks:
    """The stacks of a profile, as lists of frames, each of which is read once."""

    def __init__(self, stacks: list[Any], frames: list[Any]) -> None:
        self._stacks = stacks
        self._functions = _interned(frames)
        self._paths: dict[int | None, list[Function]] = {}

    def of(self, sample: dict[str, Any]) -> list[Function]:
        """Return the stack of a sample, see :meth:`path`."""
        return self.path(read_int(sample.get("stack_id")))

    def path(self, stack_id: int | None) -> list[Function]:
        """Return a stack, outermost frame first; nothing if it is not there."""
        if stack_id not in self._paths:
            self._paths[stack_id] = self._read(stack_id)
        return self._paths[stack_id]

    def _read(self, stack_id: int | None) -> list[Function]:
        if stack_id is None or not 0 <= stack_id < len(self._stacks):
            return []
        known, size = self._functions, len(self._functions)
        return [
            known[index]
            for index in reversed(read_list(self._stacks[stack_id]))
            if type(index) is int and 0 <= index < size
        ]


def _interned(frames: list[Any]) -> list[Function]:
    """Return the functions of frames; equal ones are one object."""
    known: dict[Function, Function] = {}
    return [known.setdefault(one, one) for one in map(_function, frames)]


def _function(frame: object) -> Function:
    of = read_dict(frame)

    def text(*names: str) -> str:
        found = next((name for key in names if (name := read_name(of.get(key)))), "")
        return found[:MAX_TEXT]

    name = text("function") or text("instruction_addr") or "unknown"
    file = text("filename", "abs_path", "package")
    return Function(name, text("module"), file, of.get("in_app") is not False)


def _counts(samples: list[dict[str, Any]]) -> dict[str, Counter[int | None]]:
    """Return how many samples each thread has of each stack."""
    found: defaultdict[str, Counter[int | None]] = defaultdict(Counter)
    for one in samples:
        found[_thread_of(one)][read_int(one.get("stack_id"))] += 1
    return found


def _threads(
    counts: dict[str, Counter[int | None]],
    times: dict[str, tuple[float, float]],
    names: dict[str, Any],
) -> list[Thread]:
    found = []
    # A thread that waits has one stack all the time.
    for thread_id in sorted(counts, key=lambda one: (-len(counts[one]), -counts[one].total(), one)):
        name = read_name(read_dict(names.get(thread_id)).get("name")) or ""
        first, last = times.get(thread_id, (0.0, 0.0))
        ms = last - first if last > first else None
        found.append(Thread(thread_id, name[:MAX_TEXT], counts[thread_id].total(), ms))
    return found


def _times(samples: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return when the first and the last sample of each thread were taken, in milliseconds."""
    found: dict[str, tuple[float, float]] = {}
    for thread_id, ms in _moments(samples):
        first, last = found.get(thread_id, (ms, ms))
        found[thread_id] = min(first, ms), max(last, ms)
    return found


def _moments(samples: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    for one in samples:
        nanoseconds, seconds = (
            read_number(one.get(key)) for key in ("elapsed_since_start_ns", "timestamp")
        )
        if nanoseconds is not None:
            yield _thread_of(one), nanoseconds / 1e6
        elif seconds is not None:
            yield _thread_of(one), seconds * 1000


def _thread_of(sample: dict[str, Any]) -> str:
    return (read_text(sample.get("thread_id")) or "")[:MAX_TEXT]
