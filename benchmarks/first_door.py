"""This application as a process that captures its own errors, told by lines, as the SDK is.

It sends as a web process does: from its background threads, while it lives.
"""

from __future__ import annotations

from app import create_app
from app.cli.worker import make_worker
from benchmarks.sdk_alone import be_the_program
from benchmarks.usage import only_help


def main() -> None:
    """Capture what stdin says, and stop as a web process stops."""
    with create_app().app_context():
        worker = make_worker()
    worker.start()
    be_the_program()
    worker.stop()


if __name__ == "__main__":
    only_help(__doc__)
    main()
