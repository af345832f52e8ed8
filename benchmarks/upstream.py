"""An upstream that changes its mood: every way in which Sentry, or the way to it, can fail.

The order follows from the seed, so that a run that lost something can be repeated.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

from tests.fake_sentry import FakeSentry

# Short enough that a run of minutes meets each of them several times.
MOOD_S = (0.5, 2.0)
# Every second mood is a healthy one: otherwise the backlog only grows.
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
# A 429 that does not say for how long holds everything for a minute: met once, by one request.
ONCE: tuple[dict[str, Any], ...] = ({"name": "429", "times": 1},)
# It is restarted as well, as whatever runs it would be; the record goes on.
KILL = {"name": "killed"}


class ChangingUpstream:
    """Changes the mood of a fake in a thread, for as long as this context lasts; healthy after it.

    :param seed: the same seed gives the same moods in the same order, for the same times.
    :param once: moods of the beginning that do not come again.
    :param mood_s: how long each lasts, between the first and the second number of seconds.
    """

    def __init__(
        self,
        fake: FakeSentry,
        seed: int,
        once: tuple[dict[str, Any], ...] = (),
        mood_s: tuple[float, float] | None = None,
    ) -> None:
        self.met: Counter[str] = Counter()
        # How often every mood was met.
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
        # Drawn even when it is over: the draws have to stay the same.
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
