"""Delivery sends envelopes to Sentry and counts what becomes of each of them."""
