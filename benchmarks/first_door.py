"""A process of this application that captures its own errors; lines on stdin say how many.

It takes the same lines as the process of the SDK alone. It sends as a web process does: from
background threads, until it ends.
"""

from __future__ import annotations

from app import create_app
from app.cli.worker import make_worker
from benchmarks.sdk_alone import be_the_program
from benchmarks.usage import only_help


def main() -> None:
    """Capture errors as the lines on stdin say, and stop like a web process."""
    with create_app().app_context():
        worker = make_worker()
    worker.start()
    be_the_program()
    worker.stop()


if __name__ == "__main__":
    only_help(__doc__)
    main()
