"""Pages as a person reads them, for `make scenarios`: texts, figures and forms."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from config import ROOT
from tests.server_process import Server, free_port, http, settings

# Tags that begin a new block of text. The words within a block belong together.
BLOCKS = frozenset({"p", "li", "tr", "dt", "dd", "h1", "h2", "th", "td", "header", "main"})
_CLOCK = re.compile(r"(?:next (?:probe|try)(?: at)?|wait until) (\d\d):(\d\d):(\d\d) UTC", re.I)
_MOMENT = re.compile(r"next (?:probe|try)(?: at)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", re.I)
# Pages show whole seconds.
_ROUNDING = timedelta(seconds=1)


class Page(HTMLParser):
    """A page: its blocks of text by tag, in the order in which they end.

    :param asked_at: a time before the page was made.
    """

    def __init__(self, html: str, asked_at: datetime) -> None:
        super().__init__()
        self.html, self.asked_at = html, asked_at
        self.blocks: list[tuple[str, str]] = []
        self.badge = self.badge_title = self.token = ""
        self._open: list[tuple[str, list[str]]] = []
        self._silent = self._in_badge = 0
        self._is_in_header = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._silent += tag in ("script", "style")
        self._is_in_header = self._is_in_header or given.get("class") == "top"
        if tag == "a" and given.get("class") == "state" and self._is_in_header:
            self._in_badge, self.badge_title = 1, given.get("title") or ""
        if given.get("name") == "csrf_token":
            self.token = given.get("value") or ""
        if tag in BLOCKS:
            self._open.append((tag, []))

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")
        self._in_badge = 0 if tag == "a" else self._in_badge
        self._is_in_header = self._is_in_header and tag != "header"
        if any(name == tag for name, _ in self._open):
            while self._open:
                name, parts = self._open.pop()
                self.blocks.append((name, " ".join("".join(parts).split())))
                if name == tag:
                    break

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._in_badge:
            self.badge += data
        for _, parts in self._open:
            parts.append(f" {data}" if parts and parts[-1].endswith((">", " ")) else data)

    def texts(self, *tags: str) -> list[str]:
        """Return the texts of the blocks with these tags."""
        return [text for tag, text in self.blocks if tag in tags]

    def figures(self) -> dict[str, str]:
        """Return the figures of the page by label."""
        pairs = [(tag, text) for tag, text in self.blocks if tag in ("dt", "dd", "th", "td")]
        return {
            label: value
            for (before, label), (after, value) in zip(pairs, pairs[1:], strict=False)
            if (before, after) in (("dt", "dd"), ("th", "td"))
        }

    def says(self, *words: str) -> bool:
        """Return whether one paragraph, line or row has all of these words."""
        return any(all(word in text for word in words) for text in self.texts("p", "li", "tr"))

    def past_tries(self) -> list[str]:
        """Return the text of every next attempt whose time is before the page was requested."""
        found = []
        for text in {text for _, text in self.blocks}:
            for hour, minute, second in _CLOCK.findall(text):
                clock = {"hour": int(hour), "minute": int(minute), "second": int(second)}
                moment = self.asked_at.replace(**clock, microsecond=0)
                # The text has only the time of day: more than half a day ago means tomorrow.
                if timedelta(0) < self.asked_at - moment - _ROUNDING < timedelta(hours=12):
                    found.append(text)
            for words in _MOMENT.findall(text):
                if datetime.fromisoformat(words).replace(tzinfo=UTC) < self.asked_at - _ROUNDING:
                    found.append(text)
        # A list has a column for it. A time to come is shown as “in …”, never as “… ago”.
        for table in re.findall(r"<table.*?</table>", self.html, re.S):
            if ">Next try</th>" in table:
                found += re.findall(r'class="when optional">\s*<time[^>]*>[^<]*ago', table)
        return found


@dataclass
class Person:
    """A person who uses the pages with a browser, and the API with the token."""

    url: str
    password: str
    token: str
    cookies: dict[str, str] = field(default_factory=dict)

    def log_in(self, username: str = "admin") -> None:
        """Log in."""
        self.send("/admin/login", "/admin/login", username=username, password=self.password)

    def page(self, path: str) -> Page:
        """Return a page.

        :raise RuntimeError: the answer is not 200.
        """
        asked_at = datetime.now(UTC)
        answer = self._ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.data[:200]!r}")
        return Page(answer.data.decode(), asked_at)

    def follow(self, path: str) -> tuple[Page, str]:
        """Open an address as a browser does; return the page and the address it came from."""
        asked_at = datetime.now(UTC)
        answer = self._ask("GET", path)
        if answer.status in (302, 303):
            return self.follow(str(answer.headers["Location"]).removeprefix(self.url))
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.data[:200]!r}")
        return Page(answer.data.decode(), asked_at), path

    def send(self, path: str, page: str, **fields: Any) -> str:
        """Send a form of a page; return the address that it redirects to.

        :raise RuntimeError: the answer is not a redirect.
        """
        answer = self._ask("POST", path, fields={"csrf_token": self.page(page).token, **fields})
        if answer.status not in (302, 303):
            raise RuntimeError(f"{path}: {answer.status} {answer.data[:300]!r}")
        return str(answer.headers["Location"])

    def api(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Return the JSON answer of the API.

        :raise RuntimeError: the status is 300 or more.
        """
        answer = self.raw(path, method, body)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        return answer.json()

    def raw(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Return the answer to a request with the token, whatever its status is."""
        headers = {"Authorization": f"Bearer {self.token}"}
        more = {"json": body} if body is not None else {}
        return http.request(method, self.url + path, headers=headers, timeout=30, **more)

    def deliveries(self, project_id: int, state: str | None = None) -> list[dict[str, Any]]:
        """Return all deliveries of a project, page by page."""
        found: list[dict[str, Any]] = []
        more = f"&state={state}" if state else ""
        cursor: str | None = ""
        while cursor is not None:
            after = f"&cursor={cursor}" if cursor else ""
            path = f"/api/deliveries?project_id={project_id}&limit=100{more}{after}"
            page = self.api(path)
            found, cursor = found + page["deliveries"], page["next"]
        return found

    def _ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        more = {"fields": fields, "encode_multipart": False} if fields else {}
        answer = http.request(
            method, self.url + path, headers=headers, redirect=False, timeout=30, **more
        )
        for line in answer.headers.getlist("Set-Cookie"):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return answer


@contextmanager
def serving_person(folder: Path, **environ: str) -> Iterator[tuple[Server, Person]]:
    """Start the service with production settings, and log a person in as admin.

    :param environ: further settings.
    """
    port, password, token = free_port(), secrets.token_hex(12), secrets.token_hex(16)
    production = {
        "ENVIRONMENT": "production",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SECRET_KEY": secrets.token_hex(32),
        "ADMIN_PASSWORD": password,
        "API_TOKEN": token,
        "WEB_CONCURRENCY": "2",
        "SENTRY_DSN": "",
    }
    server = Server(folder / "data", port=port, **production, **environ)
    try:
        server.wait_ready()
        person = Person(server.url, password, token)
        person.log_in()
        yield server, person
    finally:
        server.stop()


def another_person(server: Server, person: Person, username: str) -> Person:
    """Make another user with the same password, and log in as that user."""
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "user", "add", username],
        cwd=ROOT,
        env=settings(server.data_dir),
        input=f"{person.password}\n{person.password}\n",
        text=True,
        check=True,
        capture_output=True,
    )
    other = Person(person.url, person.password, person.token)
    other.log_in(username)
    return other
