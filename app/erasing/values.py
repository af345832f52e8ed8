"""Erase a person from JSON values: payloads of events, attributes of log lines, headers, rows.

A value that is the person's is replaced whole: their ``user``, the ``user.id`` of a tag, the
``did`` of a session. In all other texts the identifier is replaced as a word of the text.
"""

from __future__ import annotations

import re
from typing import Any

from app.erasing.identifier import Kind
from app.erasing.person import ERASED, Person

# Objects that are a user, by their name in any spelling.
_USERS = frozenset({"user", "currentuser", "enduser", "authuser", "sentryinterfacesuser"})
# Names of values that are the id of a user. `did` is the user of a session.
_USER_IDS = frozenset(
    {"userid", "enduserid", "uid", "user", "did", "useridentifier", "sentryuserid", "distinctid"}
)
# Within an object that is a user.
_IDS_OF_USER = ("id", "user_id", "userId", "uid")
_OTHERS_OF_USER = ("email", "username", "name")
_ADDRESSES_OF_USER = ("ip_address", "ip", "ipAddress")
_SEPARATORS = re.compile(r"[\s._\-]+")
_GROUP = re.compile(r"^((?:sentry[._])?(?:end_?)?user)[._]", re.IGNORECASE)
# Deeper values are searched as text: no recursion may be deeper than Python's.
MAX_DEPTH = 200


class ValueEraser:
    """Erases a person from values, and counts what it erased.

    :param count: how many values were changed.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.count = 0

    def erase(self, value: Any, name: object = "", depth: int = 0) -> Any:
        """Return a value without the person; the same value if the person is not in it.

        :param name: the key of the value in its object.
        """
        if isinstance(value, str):
            return self._text(value, name)
        if isinstance(value, dict):
            return self._dict(value, name, depth)
        if isinstance(value, list):
            return self._list(value, name, depth)
        if value is not None and is_user_id(name) and self.person.is_it(value):
            return self._erased()
        return value

    def is_user(self, user: dict[Any, Any]) -> bool:
        """Return whether an object is the user that the identifier stands for."""
        return is_user(self.person, user)

    def _text(self, text: str, name: object) -> str:
        if is_user_id(name) and self.person.is_it(text):
            return self._erased()
        erased = self.person.in_text(text)
        self.count += erased != text
        return erased

    def _dict(self, value: dict[Any, Any], name: object, depth: int) -> dict[Any, Any]:
        if depth > MAX_DEPTH:
            return value
        if spelled(name) in _USERS and self.is_user(value):
            self.count += 1
            return {}
        value = self._without_address(value)
        theirs = self._names_of_person(value)
        # `{"key": "user.id", "value": "42"}`, and an attribute `"user.id": {"value": "42"}`.
        named = value.get("key", value.get("name")) if "value" in value else None
        erased: dict[Any, Any] = {}
        for key, child in value.items():
            if key in theirs:
                new = self._erased() if child not in (None, "") else child
            elif key == "value":
                new = self.erase(child, named if is_user_id(named) else name, depth + 1)
            else:
                new = self.erase(child, key, depth + 1)
            erased[self._key(key, erased)] = new
        return erased

    def _without_address(self, value: dict[Any, Any]) -> dict[Any, Any]:
        """Return a session of the person without the address and the browser beside its user."""
        attrs = value.get("attrs")
        if not isinstance(attrs, dict) or not self.person.is_it(value.get("did")):
            return value
        kept = {key: attrs[key] for key in attrs if key not in ("ip_address", "user_agent")}
        self.count += len(kept) < len(attrs)
        return {**value, "attrs": kept}

    def _names_of_person(self, value: dict[Any, Any]) -> set[Any]:
        """Return all names ``user.…`` of an object if one of them has the person."""
        groups = {key: found[1].lower() for key in value if (found := _group_of(key))}
        theirs = {group for key, group in groups.items() if self._is_theirs(key, value[key])}
        return {key for key, group in groups.items() if group in theirs}

    def _is_theirs(self, key: str, value: Any) -> bool:
        if isinstance(value, dict):
            value = value.get("value")
        if self.person.identifier.kind is Kind.IP:
            return False  # Others may have the address too: it is erased alone, as any text.
        is_id = spelled(key).endswith("id") or self.person.identifier.kind is Kind.EMAIL
        return is_id and self.person.is_it(value)

    def _key(self, key: Any, taken: dict[Any, Any]) -> Any:
        if not isinstance(key, str) or (new := self.person.in_text(key)) == key:
            return key
        self.count += 1
        number = 2
        while new in taken:
            new, number = f"{new.partition(' #')[0]} #{number}", number + 1
        return new

    def _list(self, value: list[Any], name: object, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            return value
        # Tags and headers may be pairs: `[["user.id", "42"], …]`.
        if len(value) == 2 and isinstance(value[0], str) and is_user_id(value[0]):
            return [value[0], self.erase(value[1], value[0], depth + 1)]
        return [self.erase(child, name, depth + 1) for child in value]

    def _erased(self) -> str:
        self.count += 1
        return ERASED


def is_user(person: Person, user: dict[Any, Any]) -> bool:
    """Return whether an object is the user that the identifier stands for.

    The name of a user counts as an id only if there is none: somebody's name may be the id of
    somebody else. An IP address alone does not make a user the person, since others may have it
    too: only if the user has no id, e-mail address or name.
    """
    ids = [user[key] for key in _IDS_OF_USER if user.get(key) not in (None, "")]
    others = [user[key] for key in _OTHERS_OF_USER if user.get(key)]
    if person.identifier.kind is Kind.USER_ID and ids:
        return any(map(person.is_it, ids))
    if any(map(person.is_it, ids + others)):
        return True
    return not ids + others and any(person.is_it(user.get(key)) for key in _ADDRESSES_OF_USER)


def aliases_of(user: dict[Any, Any]) -> list[str]:
    """Return the values of a user that are theirs wherever they stand in the same envelope."""
    keys = (*_IDS_OF_USER, *_OTHERS_OF_USER, *_ADDRESSES_OF_USER)
    return [text for key in keys if isinstance(text := user.get(key), str) and text]


def is_user_id(name: object) -> bool:
    """Return whether a value of this name is the id of a user."""
    return spelled(name) in _USER_IDS


def spelled(name: object) -> str:
    """Return a name without case and separators."""
    return _SEPARATORS.sub("", name).lower() if isinstance(name, str) else ""


def _group_of(key: Any) -> re.Match[str] | None:
    return _GROUP.match(key) if isinstance(key, str) else None
