"""gunicorn's settings, and the last place where a wrong one of ours can be named before a fork."""

import errno
import os
import socket
import sys

from dotenv import load_dotenv

from config import ROOT, ConfigError, load_config

load_dotenv(ROOT / ".env")
try:
    _config = load_config()
except ConfigError as error:
    print(error, file=sys.stderr)
    raise SystemExit(2) from None

bind = (
    f"[{_config.API_HOST}]:{_config.API_PORT}"
    if ":" in _config.API_HOST
    else (f"{_config.API_HOST}:{_config.API_PORT}")
)
wsgi_app = "wsgi:app"
workers = _config.WEB_CONCURRENCY
worker_class = "gthread"
threads = 4
# The SDK, the engines and every thread are made in the worker; a preloaded application would share
# its locks and its queue with all of them.
preload_app = False
reload = os.environ.get("RELOAD") == "1"
timeout = 60
graceful_timeout = 4
keepalive = 5
max_requests = 10_000
max_requests_jitter = 1_000
# By default below the home folder, which may be read-only and is shared by every gunicorn there.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 -- gunicorn's heartbeat
loglevel = _config.LOG_LEVEL.lower()

# A reload (SIGHUP) must read the settings anew, in the master as well as in its workers.
sys.modules.pop("config", None)


def on_starting(server):
    """Name the mend for a port that is taken, instead of five retries and a traceback."""
    if "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return
    family = socket.AF_INET6 if ":" in _config.API_HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_config.API_HOST, _config.API_PORT))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return  # gunicorn says what is wrong.
            port = _config.API_PORT
            print(
                f"port {port} is in use; take another one: API_PORT={port + 1} make run",
                file=sys.stderr,
            )
            raise SystemExit(2) from None


def when_ready(server):
    """Print where to go."""
    print(f"\n  DevEnviro ({_config.ENVIRONMENT}) at {_config.public_url}/admin/\n", flush=True)
