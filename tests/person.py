"""Somebody who is logged in at a running service and opens its pages."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import urllib3

from tests.server_process import settings


class Person:
    """Somebody who is logged in and opens pages."""

    def __init__(self, url: str) -> None:
        self._url, self._http = url, urllib3.PoolManager(retries=False)
        # By hand, since a cookie jar keeps secure cookies from plain HTTP.
        self._cookies: dict[str, str] = {}
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get("/admin/login"))
        assert token is not None
        password = settings(Path())["ADMIN_PASSWORD"]
        form = {"username": "admin", "password": password, "csrf_token": token[1]}
        kind = "application/x-www-form-urlencoded"
        self._send("POST", "/admin/login", 303, urlencode(form), {"Content-Type": kind})

    def get(self, path: str) -> str:
        """Return the text of a page."""
        return self._send("GET", path, 200)

    def _send(
        self,
        method: str,
        path: str,
        status: int,
        body: str = "",
        headers: dict[str, str] | None = None,
    ) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = self._http.request(
            method,
            self._url + path,
            body=body or None,
            headers={"Cookie": cookies, **(headers or {})},
            redirect=False,
            timeout=60,
        )
        assert answer.status == status, (path, answer.status)
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.data.decode()
