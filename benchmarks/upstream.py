"""An upstream that changes its mood: all kinds of failure of Sentry and of the network to it.

The seed decides the order, so that a run with a loss can be repeated.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

from tests.fake_sentry import FakeSentry

# Short enough that each mood occurs several times in a run of minutes.
MOOD_S = (0.5, 2.0)
# A healthy mood follows each of these; otherwise the backlog would only grow.
BAD_MOODS: tuple[dict[str, Any], ...] = (
    {"name": "503"},
    {"name": "500", "only_every": 2},
    {"name": "429", "retry_after": 1},
    {"name": "429", "retry_after_date": 2},
    {"name": "429", "rate_limits": "1:error:key"},
    {"name": "ok", "rate_limits": "1:error;transaction:organization"},
    {"name": "408"},
    {"name": "hang"},
    {"name": "reset"},
    {"name": "accept_then_reset", "only_every": 3},
    {"name": "refused"},
    {"name": "slow", "seconds": 1.0},
    {"name": "drip", "seconds": 0.01},
    {"name": "413", "only_every": 10},
    {"name": "html"},
    {"name": "redirect"},
    {"name": "broken"},
    {"name": "close_after_headers"},
    {"name": "big_body", "size": 8 * 2**20},
    {"name": "ok", "closes": True},
)
# A 429 without a duration holds back everything for a minute. It occurs once, for one request.
ONCE: tuple[dict[str, Any], ...] = ({"name": "429", "times": 1},)
# The fake is killed and started again, as a process manager would do. Its record continues.
KILL = {"name": "killed"}


class ChangingUpstream:
    """Changes the mood of a fake in a thread while the context lasts; healthy after it.

    :param seed: the same seed gives the same moods in the same order, with the same durations.
    :param once: moods that occur only at the beginning.
    :param mood_s: the shortest and the longest duration of a mood, in seconds.
    """

    def __init__(
        self,
        fake: FakeSentry,
        seed: int,
        once: tuple[dict[str, Any], ...] = (),
        mood_s: tuple[float, float] | None = None,
    ) -> None:
        self.met: Counter[str] = Counter()
        # How many times all moods have occurred.
        self.rounds = 0
        self._mood_s = mood_s or MOOD_S
        self._fake = fake
        self._once = once
        self._random = random.Random(seed)
        self._is_over = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._change)

    def __enter__(self) -> ChangingUpstream:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._fake.set_mood("ok")

    def _change(self) -> None:
        try:
            moods = [*self._once, *self._shuffled()]
            while not self._is_over.is_set():
                for mood in moods:
                    self._be(mood)
                    self._be({"name": "ok"})
                self.rounds += 1
                moods = self._shuffled()
        except Exception as error:
            self._error = error

    def _shuffled(self) -> list[dict[str, Any]]:
        moods = [*BAD_MOODS, KILL]
        return self._random.sample(moods, len(moods))

    def _be(self, mood: dict[str, Any]) -> None:
        # The duration is drawn even at the end, so that the sequence of draws stays the same.
        seconds = self._random.uniform(*self._mood_s)
        if self._is_over.is_set():
            return
        self.met[" ".join(str(value) for value in mood.values())] += 1
        if mood is KILL:
            self._fake.kill()
            self._is_over.wait(seconds)
            self._fake.start()
        else:
            self._fake.set_mood(**mood)
            self._is_over.wait(seconds)
