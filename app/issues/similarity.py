"""The similarity of two issues: by the place of the failure in the application, and the message.

event ── last own call and its callers ─┐
      ── type and words of the error ───┴── terms ── weighted by kind and rarity ── cosine

A term is a kind and a text, ``f:charge``. A term that half of the issues of a project have says
little. Therefore the weight of a term depends on how rare it is among the compared issues.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping

from app.issues.frames import Call, own_calls
from app.issues.message_terms import lines_of, split_type, words_of
from app.issues.tracebacks import read_traceback
from app.protocol.event import Event

# A change of how terms are made gets a new version; issues are then read again.
VERSION = 2
# An issue has about 15 terms; a message with many more words is some kind of data.
MAX_WORDS = 24
MAX_TERM = 80
CALLERS = 2

# The weight of each kind of term.
WEIGHTS = {
    "f": 3.0,  # the function that failed
    "c": 1.0,  # its class
    "m": 2.0,  # its module or file
    "d": 1.0,  # its module or file with the folder or package around it
    "a": 0.7,  # a caller of the function
    "t": 2.0,  # the error's type
    "k": 1.0,  # the type of its cause
    "w": 1.0,  # a word of the message
    "q": 1.5,  # a name in quotes in the message
    "n": 0.6,  # a file or an address in the message
    "l": 1.0,  # the logger of an event without a stack
}
PLACE, TYPE, MESSAGE = "fcmd", "tk", "wqn"

# Frameworks, clients and drivers, as modules or as folders: some clients mark all code as the
# application's.
_FOREIGN = re.compile(
    r"(?:django|rest_framework|flask|werkzeug|jinja2|starlette|fastapi|uvicorn|gunicorn|tornado"
    r"|aiohttp|requests|urllib3?|httpx|httpcore|sqlalchemy|psycopg2?|asyncpg|pymysql|redis"
    r"|celery|kombu|billiard|botocore|boto3|grpc|pydantic|pandas|numpy|click|asyncio|threading"
    r"|concurrent|importlib|runpy|socket|ssl|logging|sentry_sdk|contextlib"
    r"|express|koa|axios|react(?:-dom)?|vue|rxjs|zone\.js|lodash|mongoose|mongodb"
    r"|sequelize|typeorm|knex|undici|node_modules"
    r"|javax?|jdk|sun|jakarta|kotlinx?|scala|akka|org\.(?:springframework|apache|hibernate"
    r"|postgresql|eclipse|jboss|junit)|com\.(?:zaxxer|fasterxml|mysql|google\.common|sun)|io\.netty"
    r"|okhttp3|retrofit2|android[x]?|reactor"
    r"|net/http|database/sql|runtime|reflect|encoding/json|gin|echo|fiber|gorm|chi|mux|zap|logrus"
    r"|rails|rack|puma|sidekiq|active(?:record|support|job|model)|action(?:pack|controller|view"
    r"|dispatch)|sinatra|faraday|symfony|laravel|illuminate|guzzlehttp|doctrine|twig"
    r"|microsoft|std|alloc|tokio|hyper|actix\w{0,50}|serde\w{0,50})(?:[./:\\_-]|$)",
    re.IGNORECASE,
)
_ARGUMENTS = re.compile(r"\((?!\*)[^()]*\)|<[^<>]*>|\{\{?[^{}]*\}?\}|\[[^\[\]]*\]")
_IDENTIFIER = re.compile(r"[^\W\d][\w$-]*")
# The name, without its number, that Go and other languages give to a function without a name.
_NAMELESS = frozenset({"func", "lambda", "closure", "anonymous"})
_EXTENSION = re.compile(
    r"\.(?:py[wx]?|[cm]?[jt]sx?|vue|svelte|java|kt|scala|go|rb|php|cs|fs|vb|rs|cc?|cpp|cxx|hh?|hpp"
    r"|mm?|swift|dart|exs?|erl|pl|lua|clj)$"
)


def terms_of(event: Event) -> tuple[str, ...]:
    """Return the terms by which an event is compared, sorted; empty if it has no such data."""
    exceptions = event.exceptions
    main = event.outermost_exception
    text = (main and main.value) or event.message or ""
    calls = _calls(event)
    if not calls and (logged := read_traceback(text)):
        text, calls = logged.said, own_calls(logged.frames, _is_foreign)
    terms = _terms_of_calls(calls)
    said = [split_type(line) for line in lines_of(text)]
    type = (main and main.type) or next((type for type, _ in said if type), "")
    terms += [_term("t", _last(type))] if type else []
    terms += [_term("k", _last(cause.type)) for cause in exceptions[-3:-1] if cause.type]
    words = [word for _, line in said for word in words_of(line)]
    terms += [_word(word) for word in words[:MAX_WORDS]]
    if not any(term.startswith(("f:", "m:")) for term in terms) and event.logger:
        terms.append(_term("l", event.logger))
    return tuple(sorted(set(terms) - {""}))


def hash_of(term: str) -> int:
    """Return the hash of a term, a number of 63 bits, for an index."""
    digest = hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def rarity(having: int, of: int) -> float:
    """Return how rare a term is: from near 0, if all issues have it, to 1, if only one has it.

    :param having: the number of issues with the term, at least 1.
    :param of: the number of all issues.
    """
    return math.log(1 + of / having) / math.log(1 + of) if of > 1 else 1.0


def similarity(
    iterable: Iterable[str], other: Iterable[str], rarities: Mapping[str, float]
) -> float:
    """Return the similarity of two issues, from 0 to 1: the cosine of their weighted terms.

    :param rarities: the :func:`rarity` of each term; a missing term has the rarity 1.
    """
    first, second = set(iterable), set(other)
    lengths = _square(first, rarities) * _square(second, rarities)
    return _square(first & second, rarities) / math.sqrt(lengths) if lengths else 0.0


def shared(iterable: Iterable[str], other: Iterable[str]) -> list[str]:
    """Return the names of what two issues have in common, the most important first.

    The names are ``function``, ``module``, ``type``, and ``message`` (at least three quarters of
    the words) or ``words`` (some words).
    """
    first, second = set(iterable), set(other)
    both = first & second
    found = []
    if kinds := {term[0] for term in both}:
        found += ["function"] if "f" in kinds else []
        found += ["module"] if "m" in kinds else []
        found += ["type"] if "t" in kinds else []
    words = [{term for term in terms if term[0] in MESSAGE} for terms in (both, first, second)]
    if words[0]:
        found.append("message" if len(words[0]) * 4 >= max(map(len, words)) * 3 else "words")
    return found


def _square(terms: set[str], rarities: Mapping[str, float]) -> float:
    return sum((WEIGHTS[term[0]] * rarities.get(term, 1.0)) ** 2 for term in terms)


def _calls(event: Event) -> list[Call]:
    """Return the calls of the main stack, else of the outermost exception with a stack."""
    stacks = [exception.frames for exception in reversed(event.exceptions[-10:])]
    stacks = [event.main_frames, *stacks]
    return next((calls for frames in stacks if (calls := own_calls(frames, _is_foreign))), [])


def _is_foreign(place: str) -> bool:
    return bool(_FOREIGN.match(place))


def _terms_of_calls(calls: list[Call]) -> list[str]:
    if not calls:
        return []
    names, parts = _identifiers(calls[0].function), _parts(calls[0].place)
    terms = [_term("f", names[-1])] if names else []
    terms += [_term("c", names[-2])] if len(names) > 1 else []
    terms += [_term("m", parts[-1])] if parts else []
    terms += [_term("d", ".".join(parts[-2:]))] if len(parts) > 1 else []
    for call in list(dict.fromkeys(calls[1:]))[:CALLERS]:
        if (callers := _identifiers(call.function)) and call != calls[0]:
            terms.append(_term("a", ".".join([*_parts(call.place)[-1:], callers[-1]])))
    return terms


def _identifiers(function: str) -> list[str]:
    names = _IDENTIFIER.findall(_ARGUMENTS.sub("", function))
    return [name for name in names if name not in _NAMELESS] if len(names) > 1 else names


def _parts(place: str) -> list[str]:
    return [part for part in re.split(r"[./\\:]+", _EXTENSION.sub("", place)) if part not in "?#"]


def _last(type: str) -> str:
    return re.split(r"[.\\:/]+", type.rstrip(".:\\/ "))[-1]


def _word(word: str) -> str:
    if word.startswith("'"):
        return _term("q", word.strip("'"))
    return _term("n", word[1:]) if word.startswith("/") else _term("w", word)


def _term(kind: str, text: str) -> str:
    # Terms are stored separated by spaces, so they cannot contain any.
    text = "_".join(text.lower().split())[:MAX_TERM]
    return f"{kind}:{text}" if text else ""
