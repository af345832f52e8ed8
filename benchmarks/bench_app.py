"""The application as the benchmark serves it: with its own transport, the SDK's, or no SDK."""

from __future__ import annotations

import os

import sentry_sdk

from app import access, create_app

app = create_app()


@app.get("/bench/fine")
@access.anyone
def fine() -> dict[str, bool]:
    """A request that succeeds."""
    return {"ok": True}


@app.get("/bench/raises")
@access.anyone
def raises() -> None:
    """A request that fails as an unhandled error, some calls deep."""
    order = {"id": 17, "items": ["book"] * 5}
    _price(order, 3)


def _price(order: dict[str, object], depth: int) -> None:
    currency = "EUR"
    if depth:
        return _price(order, depth - 1)
    raise ValueError(f"no price in {currency}")


def _use_default_transport() -> None:
    """Initialise the SDK as `create_app` did, but with the transport and hooks it comes with."""
    kept = sentry_sdk.get_client().options
    names = (
        "environment release traces_sampler profiles_sample_rate send_default_pii "
        "max_request_body_size project_root integrations debug"
    ).split()
    sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], **{name: kept[name] for name in names})


mode = os.environ.get("BENCH_MODE", "ours")
if mode == "default":
    _use_default_transport()
elif mode == "none":
    sentry_sdk.get_global_scope().set_client(None)
