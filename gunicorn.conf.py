"""The settings of gunicorn. A wrong setting of DevEnviro stops the start here, before any fork."""

import ctypes
import errno
import gc
import json
import logging
import mmap
import os
import socket
import sys
from datetime import UTC, datetime

from gunicorn.workers.gthread import ThreadWorker

from config import ConfigError, load_config, load_env_file

load_env_file()
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


class Worker(ThreadWorker):
    """A gunicorn worker whose threads get complete requests from our event loop.

    The event loop is imported in the worker process. The master must not import the application:
    after a reload, new workers would inherit the old code.
    """

    def load_wsgi(self):
        from app.accounts.first_start import held_back

        with held_back() as self.last_words:
            super().load_wsgi()

    def run(self):
        from app.ingest.direct import DirectDoor
        from app.ingest.early import head_check
        from app.server.limits import Limits
        from app.server.loop import EventLoop

        per_peer = None if _config.TRUSTED_PROXIES else _config.MAX_CONNECTIONS_PER_PEER
        limits = Limits(
            connections=self.cfg.worker_connections,
            connections_per_peer=per_peer,
            idle_s=self.cfg.keepalive,
        )
        folder, check = str(_config.DATA_DIR), head_check(self.wsgi)
        EventLoop(self, limits, folder, check, DirectDoor(self.wsgi)).run()


worker_class = Worker
# No limit of gunicorn's: it ends at 8,190 bytes, and the event loop has its own (`Limits`).
limit_request_line = 0
worker_connections = 1000
# A thread that waits for the disk uses no CPU. The more threads wait, the fewer transactions they
# need: with 16 connections to two processes, eight threads store 1.3 times the events of four.
threads = 8
# Each worker makes the SDK, the database engines and the threads itself. A preloaded application
# would share its locks and its queue with all workers.
preload_app = False
reload = os.environ.get("RELOAD") == "1"
timeout = 60
graceful_timeout = 4
keepalive = 5
# gunicorn trusts no header for the address of the client, the scheme or SCRIPT_NAME. ProxyFix
# (app.web) reads these headers as TRUSTED_PROXIES allows.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers = {}
# By default, the control socket is below the home folder. That folder may be read-only, and all
# gunicorn processes of the user share it.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 -- gunicorn's heartbeat


class AccessFormatter(logging.Formatter):
    """Writes one JSON object for each request, without the query string: it may hold secrets."""

    def format(self, record):
        atoms = record.args
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "name": record.name,
            "method": atoms["m"],
            "path": atoms["U"],
            "status": int(atoms["s"]),
            "bytes": int(atoms["B"] or 0),
            "ms": round(int(atoms["D"]) / 1000, 1),
            "peer": atoms["h"],
        }
        return json.dumps(line)


class LineFormatter(logging.Formatter):
    """Writes one JSON object for each message of the server."""

    def format(self, record):
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "name": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _is_no_probe(record):
    return not str(record.args["U"]).startswith("/health")


accesslog = "-"
loglevel = _config.LOG_LEVEL.lower()
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    # gunicorn merges this into its defaults. Without this entry, they would print every line twice.
    "root": {"level": _config.LOG_LEVEL, "handlers": []},
    "formatters": {"access": {"()": AccessFormatter}, "line": {"()": LineFormatter}},
    "filters": {"no_probes": {"()": lambda: _is_no_probe}},
    "handlers": {
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "access",
            "filters": ["no_probes"],
            "stream": "ext://sys.stdout",
        },
        "line": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "loggers": {
        "gunicorn.error": {"level": _config.LOG_LEVEL, "handlers": ["line"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}

# A reload (SIGHUP) must read settings and code again. Without this loop, a worker would inherit the
# old modules.
for _name in [name for name in sys.modules if name == "config" or name.partition(".")[0] == "app"]:
    del sys.modules[_name]


def _refuse_other_protocols(cfg):
    wrong = [
        name
        for name, is_on in {
            "TLS (certfile, keyfile)": cfg.is_ssl,
            "the PROXY protocol (proxy_protocol)": cfg.proxy_protocol not in (False, None, "off"),
        }.items()
        if is_on
    ]
    if wrong:
        print(
            f"gunicorn's {' and '.join(wrong)} cannot be used: put a reverse proxy in front "
            "and set TRUSTED_PROXIES=1 (docs/deployment.md)",
            file=sys.stderr,
        )
        raise SystemExit(2)


def on_starting(server):
    """Stop the start when gunicorn has unsupported options or the port is in use.

    The message says how to fix it.
    """
    _refuse_other_protocols(server.cfg)
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


# One byte for each worker that has started. All workers share this memory.
_has_started = mmap.mmap(-1, mmap.PAGESIZE)


def when_ready(server):
    """Print the URL of the admin pages."""
    print(f"\n  DevEnviro ({_config.ENVIRONMENT}) at {_config.public_url}/admin/\n", flush=True)


def _give_large_memory_back():
    """Keep glibc from raising its thresholds each time a large body is freed.

    With higher thresholds, glibc allocates the next large bodies on its heaps and does not give
    that memory back. Fifty compression bombs left a worker 60 MiB larger. With fixed thresholds
    they leave it 10 MiB larger.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return  # Another C library, without mallopt.
    mallopt(m_mmap_threshold, 256 * 1024)
    mallopt(m_trim_threshold, 1024 * 1024)
    # One heap for all threads (M_ARENA_MAX) would save 6 MiB, but an event took 1.2 times the CPU.


def post_worker_init(worker):
    """Start the background tasks in the worker process.

    The credentials of a first start are printed after all workers have started.
    """
    from app.cli.worker import make_worker

    _give_large_memory_back()
    # The default is 5 ms. A thread releases the interpreter lock (GIL) at every statement and every
    # fsync. It then waits behind the busy threads for the lock, while others wait for its
    # transaction.
    sys.setswitchinterval(0.0005)
    worker.wsgi.extensions["is_draining"] = lambda: not worker.alive
    if _config.WORKER_IN_WEB:
        with worker.wsgi.app_context():
            worker.background = make_worker()
        worker.background.start()
    # What is there now stays, and the search for garbage skips it. Garbage goes first, since it may
    # hold connections.
    gc.collect()
    gc.freeze()
    _has_started[worker.age % mmap.PAGESIZE] = 1
    worker.last_words.print_when(lambda: sum(_has_started[:]) >= worker.cfg.workers)


def worker_exit(server, worker):
    """Store the events that wait in memory, and print first credentials not printed yet."""
    if getattr(worker, "last_words", None) is not None:
        worker.last_words.print_now()
    if getattr(worker, "background", None) is not None:
        worker.background.stop()
    elif worker.wsgi is not None:
        worker.wsgi.extensions["devenviro.intake"].close()
