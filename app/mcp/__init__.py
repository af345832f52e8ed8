"""MCP: tools with which language models read issues, events and memories, and change issues.

    endpoint    POST /mcp: origin, media types, size, batches, and the status of an answer
    messages    JSON-RPC 2.0: which protocol versions there are, and the methods of each
    tools       the list of tools and one call: who may, which argument is wrong, the audit log
    reach       what a token lets its tools reach: projects, users of memories, changes
    answers     the text of an answer: words of this service, and texts of others in a fence
    untrusted   how a text of others stands in an answer, so that it cannot end its fence
    schemas     the schema of arguments, from their model

Each module of :mod:`app.mcp.kinds` has tools. They read and change with the functions that the
API and the pages use.
"""

from __future__ import annotations

from flask import Flask
from flask_wtf.csrf import CSRFProtect

from app.mcp import endpoint, kinds

__all__ = ["init_app", "kinds"]


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register ``/mcp``, without CSRF protection: its callers send tokens, not cookies."""
    csrf.exempt(endpoint.bp)
    app.register_blueprint(endpoint.bp)
