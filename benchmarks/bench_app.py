"""The application of the benchmarks: as it is, with the default SDK, or without an SDK."""

from __future__ import annotations

import os

import sentry_sdk
from flask import Flask

from app import create_app
from app.web import access
from benchmarks.usage import only_help

if __name__ == "__main__":
    only_help(__doc__)  # This must come before the store is made.
app = create_app()


@app.get("/bench/fine")
@access.anyone
def fine() -> dict[str, bool]:
    """Answer a request that succeeds."""
    return {"ok": True}


@app.get("/bench/raises")
@access.anyone
def raises() -> None:
    """Fail with an unhandled error, some calls deep."""
    order = {"id": 17, "items": ["book"] * 5}
    _price(order, 3)


def _price(order: dict[str, object], depth: int) -> None:
    currency = "EUR"
    if depth:
        return _price(order, depth - 1)
    raise ValueError(f"no price in {currency}")


def _use_the_sdk_as_it_comes() -> None:
    """Set up the SDK as documented: its own transport and integrations, and the same rates."""
    kept = sentry_sdk.get_client().options
    names = (
        "environment release traces_sampler profiles_sample_rate send_default_pii "
        "max_request_body_size project_root debug"
    ).split()
    sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], **{name: kept[name] for name in names})
    # Flask's own logging of unhandled errors, which the SDK's logging integration records.
    app.log_exception = Flask.log_exception.__get__(app)  # type: ignore[method-assign]


mode = os.environ.get("BENCH_MODE", "ours")
if mode == "sdk":
    _use_the_sdk_as_it_comes()
elif mode == "none":
    sentry_sdk.get_global_scope().set_client(None)
