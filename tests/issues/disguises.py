"""Bugs in disguise: reports of one bug from different hosts, releases, users and loggers.

Each of the 24 bugs has three variants. All variants differ in ids, numbers, users, addresses,
ports, folders and lines. The second and the third also have the prefix of a logger before the
message, different callers, and up to four frames of frameworks around or below those of the
application. Some bugs resemble others: one function that fails in two ways, one message from two
places.
"""

from __future__ import annotations

import random
import uuid
from typing import Any, NamedTuple

Payload = dict[str, Any]


class Bug(NamedTuple):
    """A bug: language, type, message, and its frames as ``file:function``, the newest last."""

    language: str
    type: str | None
    message: str
    calls: str


BUGS = [
    Bug("python", "KeyError", "'price'", "shop/cart.py:checkout shop/pricing.py:total_of"),
    Bug("python", "KeyError", "'address'", "shop/cart.py:checkout shop/shipping.py:label_for"),
    Bug(
        "python",
        "ValueError",
        "invalid literal for int() with base 10: '{word}'",
        "shop/imports.py:read_feed shop/imports.py:parse_row",
    ),
    Bug(
        "python",
        "UnicodeDecodeError",
        "'utf-8' codec can't decode byte {hex} in position {number}: invalid start byte",
        "shop/imports.py:read_feed shop/imports.py:parse_row",
    ),
    Bug(
        "python",
        "sqlalchemy.exc.OperationalError",
        '(psycopg.OperationalError) connection failed: connection to server at "{ip}", port {port}'
        " failed: Connection refused",
        "orders/api.py:create_order orders/store.py:save",
    ),
    Bug(
        "python",
        "sqlalchemy.exc.IntegrityError",
        "(psycopg.errors.UniqueViolation) duplicate key value violates unique constraint"
        ' "orders_number_key" DETAIL: Key (number)=({number}) already exists.',
        "orders/api.py:create_order orders/store.py:save",
    ),
    Bug(
        "python",
        "requests.exceptions.ConnectionError",
        "HTTPSConnectionPool(host='payments.internal', port={port}): Max retries exceeded with url:"
        " /v1/charges/{id} (Caused by NewConnectionError('Connection refused'))",
        "orders/payments.py:charge orders/gateway.py:post",
    ),
    Bug(
        "python",
        "requests.exceptions.ReadTimeout",
        "HTTPSConnectionPool(host='payments.internal', port={port}): Read timed out."
        " (read timeout={number})",
        "orders/payments.py:refund orders/gateway.py:post",
    ),
    Bug(
        "javascript",
        "TypeError",
        "Cannot read properties of undefined (reading 'price')",
        "src/cart/CartLine.tsx:CartLine src/cart/format.ts:formatPrice",
    ),
    Bug(
        "javascript",
        "TypeError",
        "Cannot read properties of undefined (reading 'map')",
        "src/orders/OrderList.tsx:OrderList",
    ),
    Bug(
        "javascript",
        "ChunkLoadError",
        "Loading chunk {number} failed. (error: {url}/static/js/{number}.{id}.chunk.js)",
        "src/routes/lazy.ts:loadPage",
    ),
    Bug(
        "node",
        "Error",
        "connect ECONNREFUSED {ip}:{port}",
        "dist/server.js:start dist/cache/client.js:connectCache",
    ),
    Bug(
        "node",
        "Error",
        "connect ETIMEDOUT {ip}:{port}",
        "dist/mail/queue.js:flushQueue dist/mail/smtp.js:deliver",
    ),
    Bug(
        "node",
        "SyntaxError",
        "Unexpected token < in JSON at position {number}",
        "dist/jobs/rates.js:refreshRates dist/http/json.js:getJson",
    ),
    Bug(
        "java",
        "java.lang.NullPointerException",
        'Cannot invoke "com.acme.billing.Invoice.getTotal()" because "invoice" is null',
        "com.acme.billing.BillingService:close com.acme.billing.InvoicePrinter:print",
    ),
    Bug(
        "java",
        "java.lang.NullPointerException",
        'Cannot invoke "com.acme.crm.Customer.getEmail()" because "customer" is null',
        "com.acme.crm.MailingJob:run com.acme.crm.Recipients:collect",
    ),
    Bug(
        "java",
        "java.sql.SQLTransientConnectionException",
        "HikariPool-{number} - Connection is not available, request timed out after {number}ms.",
        "com.acme.billing.BillingService:close com.acme.billing.InvoiceDao:findOpen",
    ),
    Bug(
        "java",
        "java.lang.IllegalStateException",
        "Order {id} of customer {user} cannot go from SHIPPED to PENDING",
        "com.acme.orders.OrderController:update com.acme.orders.OrderStates:moveTo",
    ),
    Bug(
        "go",
        "*net.OpError",
        'Get "http://{ip}:{port}/stock/{number}": dial tcp {ip}:{port}: connect: connection'
        " refused",
        "github.com/acme/stock/sync:(*Syncer).Run github.com/acme/stock/sync:(*Client).Fetch",
    ),
    Bug(
        "go",
        "runtime.boundsError",
        "index out of range [{number}] with length {number}",
        "github.com/acme/stock/report:Build github.com/acme/stock/report:(*Table).cell",
    ),
    Bug(
        "go",
        "*errors.errorString",
        "context deadline exceeded while reserving {number} of article {id}",
        "github.com/acme/stock/api:(*Server).Reserve github.com/acme/stock/store:(*Store).lockRow",
    ),
    Bug(
        "ruby",
        "NoMethodError",
        "undefined method `total' for nil:NilClass",
        "app/models/invoice.rb:due_amount",
    ),
    Bug(
        "php",
        "ErrorException",
        "file_put_contents({path}/{id}.pdf): Failed to open stream: No space left on device",
        "src/Export/PdfWriter.php:App\\Export\\PdfWriter::write",
    ),
    Bug("python", None, "payment {id} of {user} was not confirmed after {number} seconds", ""),
]

FRAMEWORKS = {
    "python": "django/core/handlers/base.py:_get_response flask/app.py:dispatch_request"
    " celery/app/trace.py:trace_task sqlalchemy/engine/base.py:_execute_context"
    " urllib3/connectionpool.py:urlopen requests/adapters.py:send",
    "javascript": "node_modules/react-dom/cjs/react-dom.production.min.js:renderWithHooks"
    " node_modules/react-dom/cjs/react-dom.production.min.js:beginWork"
    " node_modules/scheduler/cjs/scheduler.production.min.js:workLoop",
    "node": "node_modules/express/lib/router/layer.js:handle"
    " node:internal/process/task_queues:processTicksAndRejections"
    " node_modules/undici/index.js:fetch node:net:TCPConnectWrap.afterConnect",
    "java": "org.springframework.web.servlet.DispatcherServlet:doDispatch java.lang.Thread:run"
    " org.hibernate.internal.SessionImpl:list com.zaxxer.hikari.pool.HikariPool:getConnection"
    " java.util.concurrent.ThreadPoolExecutor:runWorker",
    "go": "net/http:(*conn).serve net/http:HandlerFunc.ServeHTTP runtime:gopanic"
    " database/sql:(*DB).QueryContext",
    "ruby": "gems/rack-3.0.8/lib/rack/runtime.rb:call"
    " gems/activerecord-7.1.2/lib/active_record/relation.rb:load",
    "php": "vendor/symfony/http-kernel/HttpKernel.php:handle"
    " vendor/laravel/framework/src/Illuminate/Pipeline/Pipeline.php:then",
}
CALLERS = {
    "python": ["jobs/nightly.py:main", "web/views.py:post", "manage.py:run"],
    "javascript": ["src/App.tsx:App", "src/main.ts:boot", "src/Layout.tsx:Layout"],
    "node": ["dist/worker.js:tick", "dist/index.js:main", "dist/http/router.js:route"],
    "java": ["com.acme.Main:main", "com.acme.web.Api:handle", "com.acme.Scheduler:tick"],
    "go": ["main:main", "github.com/acme/stock/cmd:Execute", "github.com/acme/stock/web:Handle"],
    "ruby": ["app/controllers/invoices_controller.rb:show", "lib/tasks/dunning.rb:run"],
    "php": ["src/Controller/ExportController.php:show", "src/Command/ExportCommand.php:execute"],
}
ROOTS = ["/home/ann/dev/shop", "/srv/app/releases/20261103120501", "/opt/build-7f3a9c21", "/app"]
SITE = "/usr/lib/python3/site-packages"
PREFIXES = [
    "",
    "{time} ERROR [{thread}] ",
    "[{time}] [{number}] [ERROR] ",
    "{time} | CRITICAL | web-{number} | {id} - ",
    "ERROR:{thread}:",
    "req={id} user={user} ",
    "<11>Nov {day} 03:14:15 host-{number} app[{number}]: ",
    "[{thread}] {time} - acme.jobs.runner - ERROR - ",
]
USERS = ["ann", "bob@shop.example", "carol.smith", "user-{number}", "u_{id}", "dave"]


def disguise(bug: Bug, variant: int, seed: int = 0) -> Payload:
    """Return a variant of a bug as the payload of an event; the same arguments give the same one.

    :param variant: 0 is without prefix, callers and frameworks.
    """
    rng = random.Random(f"{bug}{variant}{seed}")
    prefix = rng.choice(PREFIXES) if variant else ""
    message = _fill(prefix, rng) + _fill(bug.message, rng)
    common = {
        "platform": "node" if bug.language == "node" else bug.language,
        "server_name": f"web-{rng.randint(1, 99)}",
        "release": f"shop@1.{rng.randint(0, 9)}.{rng.randint(0, 9)}",
        "user": {"id": _fill("{user}", rng)},
    }
    if not bug.type:
        return {**common, "logger": "shop.payments", "message": message}
    calls = bug.calls.split()
    frames = [_frame(bug.language, call, rng, True) for call in calls]
    if variant:
        if len(calls) > 1 and rng.random() < 0.5:
            frames = frames[1:]
        frames.insert(0, _frame(bug.language, rng.choice(CALLERS[bug.language]), rng, True))
        frameworks = FRAMEWORKS[bug.language].split()
        for call in rng.sample(frameworks, rng.randint(0, min(4, len(frameworks)))):
            at = rng.randint(0, len(frames))
            frames.insert(at, _frame(bug.language, call, rng, False))
    value = {"type": bug.type, "value": message, "stacktrace": {"frames": frames}}
    return {**common, "exception": {"values": [value]}}


def _frame(language: str, call: str, rng: random.Random, in_app: bool) -> Payload:
    place, _, function = call.partition(":") if "node:" not in call else call.rpartition(":")
    root = rng.choice(ROOTS)
    frame: Payload = {"function": function, "lineno": rng.randint(1, 900), "in_app": in_app}
    if language == "java":
        return {**frame, "module": place, "filename": place.rpartition(".")[2] + ".java"}
    if language == "go":
        file = f"{root}/{place.rpartition('/')[2]}/file{rng.randint(1, 3)}.go"
        return {**frame, "module": place, "abs_path": file}
    if language == "javascript":
        host = f"https://cdn{rng.randint(1, 9)}.shop.example"
        return {**frame, "filename": f"{host}/{place}", "colno": rng.randint(1, 90)}
    if place.startswith("node:"):
        return {**frame, "filename": place}
    if language == "python":
        module = place.removesuffix(".py").replace("/", ".")
        path = f"{root if in_app else SITE}/{place}"
        return {**frame, "module": module, "filename": place, "abs_path": path}
    return {**frame, "filename": f"{root}/{place}", "abs_path": f"{root}/{place}"}


def _fill(text: str, rng: random.Random) -> str:
    # A user name may contain other placeholders.
    for name in ("user", "word", "time", "day", "thread", "hex", "ip", "port", "url", "path"):
        while f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", _value(name, rng), 1)
    while "{id}" in text:
        text = text.replace("{id}", _value("id", rng), 1)
    while "{number}" in text:
        text = text.replace("{number}", str(rng.randint(2, 90_000)), 1)
    return text


def _value(name: str, rng: random.Random) -> str:
    n = rng.randint
    ids = [
        f"{rng.getrandbits(48):012x}",
        str(uuid.UUID(int=rng.getrandbits(128))),
        f"A-{n(1000, 9999)}",
    ]
    return {
        "user": rng.choice(USERS),
        "word": rng.choice(["12,50", "n/a", "x17", "1e", "ten"]),
        "time": f"2026-11-{n(10, 28)} {n(10, 23)}:{n(10, 59)}:{n(10, 59)},{n(100, 999)}",
        "day": str(n(10, 28)),
        "thread": rng.choice(["main", "worker-3", "http-nio-8080-exec-7", "MainThread"]),
        "hex": f"0x{n(128, 255):02x}",
        "ip": f"10.{n(0, 255)}.{n(0, 255)}.{n(1, 255)}",
        "port": str(n(1024, 65535)),
        "url": f"https://cdn{n(1, 9)}.shop.example",
        "path": rng.choice(["/var/exports", "/srv/out", "/mnt/data/7/pdf"]),
        "id": rng.choice(ids),
    }[name]
