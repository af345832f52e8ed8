"""The process of the fake: `python -m tests.fake_sentry --port 0 --record FILE`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.fake_sentry.record import RecordFile
from tests.fake_sentry.server import Server


def main() -> None:
    """Serve until SIGTERM; print the port for envelopes, then the port for moods."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_sentry", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument(
        "--control-port", type=int, default=0, help="POST /__mood__ there, as JSON: moods.Mood"
    )
    parser.add_argument(
        "--record", type=Path, required=True, help="file that one line of JSON a request goes to"
    )
    parser.add_argument(
        "--latency-s", type=float, default=0.0, help="seconds that every answer takes longer"
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="end when standard input is closed"
    )
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    server = Server(
        RecordFile(options.record),
        port=options.port,
        control_port=options.control_port,
        latency_s=options.latency_s,
    )
    for port in await server.start():
        print(port, flush=True)
    ended = asyncio.Event()
    if options.with_parent:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


if __name__ == "__main__":
    main()
