"""Grouping: the same bug is one issue, two bugs are two."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.issues.grouping import GROUPING_VERSION, Grouping, group, group_v1
from app.issues.rule_text import parse_rule
from tests.issues.payloads import (
    Payload,
    at,
    calls,
    chain,
    error,
    exc,
    grouped,
    in_group,
    mechanism,
    py,
    read,
    script,
)
from tests.protocol.corpus import FOLDER, payload_of

SRC = "  total = cart.items.reduce(add)"
FN = "/srv/app/shop/pay.js"


def library(call: str, **more: Any) -> Payload:
    return py(call, in_app=False, **more)


def unmarked(path: str, function: str) -> Payload:
    return {"filename": path, "abs_path": path, "function": function}


TOGETHER: dict[str, list[Payload]] = {
    "message of an error with a stack": [calls("pay", value="card 1"), calls("pay", value="no")],
    "line numbers": [error(py("shop:pay", line=3)), error(py("shop:pay", line=99))],
    "depth of a recursion": [
        calls("main", "walk", "walk"),
        calls("main", *["walk"] * 40),
        calls("main", "walk"),
    ],
    "depth of a mutual recursion": [
        calls("main", *["even", "odd"] * 2, "leaf"),
        calls("main", *["even", "odd"] * 30, "leaf"),
        calls("main", *["even", "odd"] * 5, "even", "leaf"),
    ],
    "depth of a recursion of three": [
        calls("main", *["a", "b", "c"] * 2),
        calls("main", *["a", "b", "c"] * 9),
    ],
    "where a stack overflowed is chance": [
        calls("main", *["even", "odd"] * 9, type="RecursionError"),
        calls("start", "main", *["even", "odd"] * 9, "even", type="RecursionError"),
        calls(*["odd", "even"] * 25, type="RecursionError"),
    ],
    "overflow in JavaScript is a RangeError": [
        {**script("a.js"), **calls("f", *["g", "h"] * n, type="RangeError", value=said)}
        for n, said in [(4, "Maximum call stack size exceeded"), (9, "Maximum call stack size")]
    ],
    "release folders": [
        error(at(f"/srv/releases/{release}/shop/pay.py"))
        for release in ("20260101", "20260202123000", "3f9a1c2b", "v1.2.3", "2026-01-01T10-00")
    ],
    "release folder of an app and its link": [
        error(at("/srv/shop/releases/20260101/pay.php")),
        error(at("/srv/shop/current/pay.php")),
    ],
    "where the application is installed": [
        error(at(f"{root}/shop/pay.py"))
        for root in ("/home/ada/app", "/opt/app", "/app", "/usr/src/app", "/Users/bob/code")
    ],
    "drives and slashes of Windows": [
        error(at("C:\\Users\\ada\\shop\\pay.py")),
        error(at("D:\\apps\\shop\\pay.py")),
        error(at("/home/ada/shop/pay.py")),
    ],
    "prefix of site-packages": [
        error(at(f"{prefix}/flask/app.py", in_app=False))
        for prefix in ("/usr/lib/python3/dist-packages", "/venv/lib/python3.12/site-packages")
    ],
    "layers of a container": [
        error(at(f"/var/lib/docker/overlay2/{id}/merged/app/shop/pay.py"))
        for id in ("0a1b2c3d4e5f60718293", "ffeeddccbbaa99887766")
    ],
    "root of a container": [
        error(at(f"/run/containerd/io.containerd.runtime.v2.task/{id}/rootfs/app/shop/pay.py"))
        for id in ("0a1b2c3d4e5f60718293", "web-1")
    ],
    "bundle hash after an underscore": [
        script(f"https://x.org/main_{h}.js") for h in ("3f9a1c2b", "0011aabb")
    ],
    "folder of a build": [
        script(f"https://x.org/{h}/main.js") for h in ("3f9a1c2b", "0011aabb", "1.2.3", "v42")
    ],
    "chunk with a number and a hash": [
        script(f"https://x.org/chunks/{name}.js") for name in ("4821-abcdef01", "77-0f0f0f0f")
    ],
    "modules of webpack": [
        {
            "platform": "javascript",
            **error(at(FN, number), at(FN, "__webpack_require__"), at(FN, "pay")),
        }
        for number in ("1234", "Object.5678", "Module.90", "./src/pay.js", "t.42")
    ],
    "bundle hash between dots": [
        script(f"https://x.org/static/js/main.{h}.js") for h in ("3f9a1c2b", "0011aabb")
    ],
    "bundle hash after a dash": [
        script(f"https://x.org/assets/{name}.js")
        for name in ("index-CaIPN3aQ", "index-DgIeRkzB", "index-C_a-PN3Q")
    ],
    "chunk hash in capitals": [script("/chunk-ABCDEF12.js"), script("/chunk-XYZWVU98.js")],
    "query of a script": [script("https://x.org/app.js?v=1"), script("https://x.org/app.js?v=2#x")],
    "host of a script": [script("https://x.org/app.js"), script("http://localhost:3000/app.js")],
    "build id of Next.js": [
        script(f"https://x.org/_next/static/{id}/pages/pay.js")
        for id in ("Xk3dP8sdf9aQ2rLmNo7pT", "a9ZbC3dEfGhIjKlMnOpQr")
    ],
    "counted chunks of webpack": [
        {"platform": "node", **error({"module": f"chunks:{n}", "function": "pay", "in_app": True})}
        for n in (1234, 987)
    ],
    "numbers that bundlers add to names": [script(FN, "pay$12"), script(FN, "pay$3")],
    "receivers of V8": [script(FN, f"{how}pay") for how in ("", "Object.", "async ", "Module.")],
    "aliases of V8": [script(FN, "Cart.pay [as charge]"), script(FN, "Cart.pay")],
    "minified receivers": [script(FN, "t.handleClick"), script(FN, "e.handleClick")],
    "one anonymous function, as several SDKs call it": [
        script(FN, name, context_line=SRC)
        for name in (None, "?", "<anonymous>", "Object.<anonymous>", "anonymous", "a", "Oe")
    ],
    "anonymous function whose line moved": [
        script(FN, "?", lineno=7, context_line=SRC),
        script(FN, "?", lineno=80, context_line=f"   {SRC} "),
    ],
    "minified function of two builds": [
        script("https://x.org/main.3f9a1c2b.js", "t", value="user 7 is gone"),
        script("https://x.org/main.99887766.js", "n", value="user 19 is gone"),
    ],
    "built-ins between two calls": [
        {"platform": "javascript", **error(at(FN, "sum"), at(FN, "add"))},
        {
            "platform": "javascript",
            **error(at(FN, "sum"), at("<anonymous>", "Array.map"), at(FN, "add")),
        },
    ],
    "vendor chunk that calls the application": [
        {"platform": "javascript", **error(at("https://x.org/vendors~main.js", f), at(FN, "pay"))}
        for f in ("hook", "callLater")
    ],
    "SDK's own calls inside a bundle": [
        {"platform": "javascript", **error(at(FN, "main"), at(FN, wrapper), at(FN, "pay"))}
        for wrapper in ("withScope2", "Object.withScope", "sentryWrapped")
    ],
    "lambdas of Java": [error(py(f"org.shop.Pay:lambda$main${n}")) for n in (0, 14)]
    + [error(py("org.shop.Pay:lambda$main"))],
    "anonymous classes of Java": [error(py(f"org.shop.Pay${n}:run")) for n in (1, 2)],
    "lambda classes of Java": [
        error(py(f"org.shop.Pay$$Lambda${n}/0x00000008000{n}:run")) for n in (14, 97)
    ],
    "proxies of Spring": [
        error(py(f"org.shop.Pay$$EnhancerBySpringCGLIB$${h}:charge")) for h in ("1a2b", "99ff")
    ],
    "version of a library in its folder": [
        error(at(f"/go/pkg/mod/github.com/gin-gonic/gin@{v}/context.go", in_app=False))
        for v in ("v1.9.1", "v1.10.0")
    ]
    + [error(at("/go/pkg/mod/github.com/gin-gonic/gin/context.go", in_app=False))],
    "version of a gem": [
        error(at(f"/usr/lib/gems/rack-{v}/lib/rack/builder.rb", in_app=False))
        for v in ("2.2", "3.1.1")
    ],
    "version of the application in its folder": [
        error(at(f"/srv/shop{v}/pay.py")) for v in ("-1.2.3", "-1.10.0-rc1", "")
    ],
    "script from a blob": [
        script(f"blob:https://x.org/{id}", "pay")
        for id in ("550e8400-e29b-41d4-a716-446655440000", "00000000-0000-4000-8000-000000000001")
    ],
    "modules of webpack by their number": [
        script(f"webpack-internal:///{n}", "pay") for n in (17, 4711)
    ],
    "package called like the folder it is in": [
        error(at(f"{root}/app/pay.py")) for root in ("/home/ada/app", "/opt/app", "/usr/src/app")
    ],
    "script inside pages": [script(f"https://x.org/orders/{n}", "pay") for n in (17, 4711)],
    "generated accessors of Java": [
        error(py(f"org.shop.Gen:GeneratedMethodAccessor{n}"), py("org.shop.Pay:run"))
        for n in (12, 345)
    ],
    "state machines of C#": [error(py(f"Shop.Pay:<Charge>d__{n}.MoveNext")) for n in (2, 31)],
    "closures of Go": [error(py(f"main:handler.func{n}")) for n in (1, 2)],
    "hash of Rust": [
        error(at("src/pay.rs", f"shop::pay::h{h}"))
        for h in ("0123456789abcdef", "fedcba9876543210")
    ],
    "closures of PHP": [
        error(at("/var/www/shop/pay.php", f"{{closure:App\\Pay::run():{n}}}", context_line="x()"))
        for n in (12, 14)
    ],
    "blocks of Ruby": [error(at("app/pay.rb", f"{b}charge")) for b in ("", "block in ")]
    + [error(at("app/pay.rb", "block (2 levels) in charge"))],
    "comprehensions, which Python 3.12 has no frames of": [
        calls("pay", "<listcomp>"),
        calls("pay"),
        calls("pay", "<dictcomp>", "<listcomp>"),
    ],
    "decorators of the application": [
        error(py("shop.web:dispatch"), py("shop.pay:pay")),
        error(py("shop.web:dispatch"), py("shop.auth:_wrapped_view"), py("shop.pay:pay")),
        error(py("shop.web:dispatch"), py("shop.auth:wrapper"), py("shop.pay:pay")),
    ],
    "nested function by its qualified name": [calls("pay.<locals>.check"), calls("check")],
    "versions of the library that calls": [
        error(library("flask.app:dispatch_request"), py("shop:pay")),
        error(library("flask.app:ensure_sync"), library("flask.views:view"), py("shop:pay")),
    ],
    "library calls below the application": [
        error(py("shop:pay"), library("requests.api:post")),
        error(py("shop:pay"), library("requests.sessions:request"), library("urllib3:urlopen")),
    ],
    "marked and unmarked client": [
        error(py("shop:pay"), library("requests.api:post")),
        error(
            {"module": "shop", "function": "pay", "abs_path": "/srv/shop.py"},
            {"module": "requests.api", "function": "post", "abs_path": "/x/site-packages/r/api.py"},
        ),
    ],
    "forms of an exception": [
        {"exception": {"values": [exc(py("shop:pay"))]}},
        {"exception": [exc(py("shop:pay"))]},
        {"exception": exc(py("shop:pay"))},
        {"sentry.interfaces.Exception": {"values": [exc(py("shop:pay"))]}},
    ],
    "stack beside the exception": [
        error(py("shop:pay")),
        {**error(), "stacktrace": {"frames": [py("shop:pay")]}},
        {**error(), "sentry.interfaces.Stacktrace": {"frames": [py("shop:pay")]}},
        {
            **error(),
            "threads": {"values": [{"crashed": True, "stacktrace": {"frames": [py("shop:pay")]}}]},
        },
    ],
    "values of a cause": [
        chain(exc(type="KeyError", value=v), exc(py("shop:pay"))) for v in ("'a'", "'b'")
    ],
    "number of attempts in a chain": [
        chain(*[exc(type="Timeout")] * n, exc(py("shop:pay"), type="PaymentError")) for n in (1, 4)
    ],
    "order of the members of a group": [
        in_group(exc(type="A"), exc(type="B"), exc(type="C")),
        in_group(exc(type="C"), exc(type="A"), exc(type="B")),
    ],
    "number of equal members of a group": [
        in_group(exc(type="A", value="row 1"), exc(type="B")),
        in_group(exc(type="A", value="row 7"), exc(type="A", value="row 9"), exc(type="B")),
    ],
    "order of the members of a group without ids": [
        chain(
            *members, {**exc(py("shop:pay"), type="G"), "mechanism": {"is_exception_group": True}}
        )
        for members in ([exc(type="A"), exc(type="B")], [exc(type="B"), exc(type="A")])
    ],
    "ids that lead round in a circle": [
        chain(
            {**exc(type="A"), "mechanism": mechanism(1, 2, "x")},
            {**exc(type="A"), "mechanism": mechanism(2, 1, "x")},
            {**exc(py("shop:pay"), type="B"), "mechanism": mechanism(n, n, "x")},
        )
        for n in (0, 3)
    ],
    "numbers, ids and addresses without a stack": [
        error(type="Gone", value=value)
        for value in (
            "user 7 (ada@example.org) at 10.0.0.1",
            "user 123456 (b.ob@mail.example.com) at 192.168.1.20",
        )
    ],
    "quoted value": [error(value="no key 'a row'"), error(value="no key 'some other'")],
    "file in a message": [error(value=f"cannot open {p}") for p in ("/var/a.csv", "/srv/x/b.csv")],
    "moment in a message": [
        error(value=f"expired at {moment}")
        for moment in ("2026-01-01T00:00:00Z", "2026-12-31 23:59:59.123456+01:00")
    ],
    "random ids in a message": [
        error(value=f"session {id} lost")
        for id in ("8fK2x9qq", "3f9a1c2b", "550e84", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "12345678")
    ],
    "uuid in a message": [
        error(value=f"no order {id}")
        for id in (
            "550e8400-e29b-41d4-a716-446655440000",
            "00000000-0000-4000-8000-000000000001",
        )
    ],
    "length of a list in a message": [error(value="ids 1, 2, 3"), error(value="ids 4, 5")],
    "pod name in a message": [
        error(value=f"web-{pod} is not ready") for pod in ("7d9f8b6c5-x2x4z", "5c6b7d8f9-k9k8j")
    ],
    "later lines of a message": [error(value="failed\nat row 1"), error(value="\nfailed\nelse")],
    "parameters of a log message": [
        {"logentry": {"message": "paying %s failed", "params": [who]}} for who in ("ada", "bob")
    ]
    + [{"logentry": {"message": "paying %s failed", "formatted": "paying eve failed"}}],
    "place of a message": [
        {"message": "disk full"},
        {"message": {"formatted": "disk full"}},
        {"logentry": {"message": "disk full"}},
        {"sentry.interfaces.Message": {"message": "disk full", "params": []}},
    ],
    "captureMessage of old and new JavaScript SDKs": [
        {"message": "disk full"},
        {
            "message": "disk full",
            **error(at(FN), type=None, value="disk full", mechanism={"synthetic": True}),
        },
    ],
    "message with the stack of who logged it": [
        {"message": "disk full"},
        {
            "message": "disk full",
            "threads": [{"current": True, "stacktrace": {"frames": [py("shop:log")]}}],
        },
    ],
    "fingerprint that is the default": [
        calls("pay"),
        {**calls("pay"), "fingerprint": ["{{ default }}"]},
        {**calls("pay"), "fingerprint": ["{{default}}"]},
        {**calls("pay"), "fingerprint": []},
        {**calls("pay"), "fingerprint": None},
    ],
    "fingerprint over everything else": [
        {**calls("pay"), "fingerprint": ["db"]},
        {"message": "anything", "fingerprint": ["db"]},
        {"fingerprint": "db"},
        {"checksum": "db"},
    ],
    "spelling of a variable": [
        {**calls("pay"), "fingerprint": [f"{{{{{name}}}}}"]}
        for name in ("type", " type ", "error.type", " error.type ")
    ],
    "level, release, tags and time": [
        {**calls("pay"), "level": "error", "release": "1", "tags": {"a": "b"}},
        {**calls("pay"), "level": "fatal", "release": "2", "environment": "staging"},
    ],
}

APART: dict[str, list[Payload]] = {
    "functions": [calls("pay"), calls("refund")],
    "types": [calls("pay"), calls("pay", type="KeyError")],
    "modules": [error(py("shop.pay:run")), error(py("shop.ship:run"))],
    "callers": [calls("checkout", "pay"), calls("renew", "pay")],
    "files of one name": [
        error(at("/srv/app/orders/views.py", "index")),
        error(at("/srv/app/users/views.py", "index")),
    ],
    "files of one name in an application's folders that are roots elsewhere": [
        error(at(f"/opt/app/{folder}pay.py")) for folder in ("shared/", "services/", "lib/", "")
    ],
    "files of one name in folders that everyone has": [
        error(at("/srv/app/orders/handlers/create.py", "handle")),
        error(at("/srv/app/users/handlers/create.py", "handle")),
    ],
    "files of the application called like a bundler's": [
        {
            "platform": "javascript",
            **error(at(FN, "main"), at("https://x.org/js/runtime.js", function)),
        }
        for function in ("load", "store")
    ],
    "functions with a number in their name": [calls("step1"), calls("step2")],
    "classes with a number in their name": [
        error(py("org.shop.OAuth1Client:get")),
        error(py("org.shop.OAuth2Client:get")),
    ],
    "migrations": [
        error(py("shop.migrations.0001_initial:forwards")),
        error(py("shop.migrations.0002_orders:forwards")),
    ],
    "two recursions": [
        calls("main", *["even", "odd"] * 9, type="RecursionError"),
        calls("main", *["visit", "walk"] * 9, type="RecursionError"),
    ],
    "members of a mutual recursion": [
        calls("main", *["a", "b"] * 4),
        calls("main", *["a", "b"] * 4, "a"),
    ],
    "anonymous functions by their source": [
        script(FN, "?", context_line=SRC),
        script(FN, "?", context_line="  send(order.id)"),
    ],
    "anonymous functions by what they say": [
        script("https://x.org/main.3f9a1c2b.js", name, value=value)
        for name, value in [
            (None, "cart is undefined"),
            ("?", "order is undefined"),
            ("t", "nothing to pay"),
            ("<anonymous>", "Failed to fetch"),
        ]
    ],
    "anonymous functions by their file": [
        script("https://x.org/cart.3f9a1c2b.js", "?"),
        script("https://x.org/order.3f9a1c2b.js", "?"),
    ],
    "anonymous functions by their callers": [
        {"platform": "javascript", **error(at(FN, caller), at(FN, "?"))}
        for caller in ("checkout", "renew")
    ],
    "scripts by their source at module level": [
        error(py("__main__:<module>", filename="job.py", context_line=line))
        for line in ("load()", "store()")
    ],
    "scripts by their file": [
        error(py("__main__:main", filename=name)) for name in ("import.py", "export.py")
    ],
    "lambdas by their source": [
        calls("pay"),
        error(py("shop.pay:<lambda>", context_line="key=lambda x: x.a")),
        error(py("shop.pay:<lambda>", context_line="key=lambda x: x.b")),
    ],
    "wrapper that raises itself": [
        calls("dispatch", "wrapper"),
        calls("dispatch"),
    ],
    "types of a cause": [
        chain(exc(type="KeyError"), exc(py("shop:pay"))),
        chain(exc(type="OSError"), exc(py("shop:pay"))),
        error(py("shop:pay")),
    ],
    "exceptions that hang on nothing": [
        chain(
            {**exc(type=stray), "mechanism": mechanism(1, 99, "exceptions[0]")},
            {**exc(type="A"), "mechanism": mechanism(2, 0, "__cause__")},
            {**exc(py("shop:pay")), "mechanism": {"exception_id": 0}},
        )
        for stray in ("B", "C")
    ],
    "stack of the main exception in a chain": [
        chain(exc(py("shop:load"), type="KeyError"), exc(py(f"shop:{f}"))) for f in ("pay", "ship")
    ],
    "stack of the cause where the main one has none": [
        chain(exc(py(f"shop:{f}"), type="KeyError"), exc()) for f in ("pay", "ship")
    ],
    "kinds of members of a group": [
        in_group(exc(type="A")),
        in_group(exc(type="A"), exc(type="B")),
        in_group(exc(type="B")),
    ],
    "functions that members of a group come from": [
        in_group(exc(py("shop.tasks:fetch"), type="A")),
        in_group(exc(py("shop.tasks:store"), type="A")),
    ],
    "group inside a group": [
        in_group(exc(type="A"), exc(type="B")),
        chain(
            {**exc(type="A"), "mechanism": mechanism(3, 2, "exceptions[0]")},
            {**exc(type="ExceptionGroup"), "mechanism": mechanism(2, 0, "exceptions[1]")},
            {**exc(type="B"), "mechanism": mechanism(1, 0, "exceptions[0]")},
            {
                **exc(py("shop.pay:batch"), type="ExceptionGroup"),
                "mechanism": {"exception_id": 0, "is_exception_group": True},
            },
        ),
    ],
    "member and cause": [
        in_group(exc(type="A")),
        chain(
            {**exc(type="A"), "mechanism": mechanism(1, 0, "__cause__")},
            {
                **exc(py("shop.pay:batch"), type="ExceptionGroup"),
                "mechanism": {"exception_id": 0, "is_exception_group": True},
            },
        ),
    ],
    "words of a message": [
        {"message": "disk full"},
        {"message": "disk failed"},
        error(type="disk full", value=""),
    ],
    "names in a message that are no ids": [error(value="s3 is down"), error(value="ec2 is down")],
    "members of JSON": [error(value='{"code": 5}'), error(value='{"status": 5}')],
    "types without a stack": [error(type="A"), error(type="B")],
    "messages of typeless exceptions": [
        {"message": m, **error(at(FN), type=None, value=m)} for m in ("disk full", "disk failed")
    ],
    "messages beside an exception that says nothing": [
        {"message": m, "exception": {"values": [{}]}} for m in ("disk full", "disk failed")
    ],
    "templates of a log message": [
        {"logentry": {"message": f"{verb} %s failed", "params": ["ada"]}} for verb in ("pay", "buy")
    ],
    "threads that crashed": [
        {"threads": [{"crashed": True, "stacktrace": {"frames": [py(f"shop:{f}")]}}]}
        for f in ("pay", "ship")
    ],
    "fingerprints": [
        {**calls("pay"), "fingerprint": parts}
        for parts in (
            ["a"],
            ["b"],
            ["a", "b"],
            ["b", "a"],
            ["a\nb"],
            ["a\n- b"],
            ["a\\nb"],
            ["{{ default }}", "a"],
            [],
        )
    ],
    "fingerprint that refines the default": [
        {**calls(f), "fingerprint": ["{{ default }}", tenant]}
        for f in ("pay", "ship")
        for tenant in ("acme", "umbrella")
    ],
    "values of a variable": [
        {**calls("pay", type=type), "fingerprint": ["{{ type }}", "{{ tags.shop }}"], "tags": tags}
        for type in ("A", "B")
        for tags in ({"shop": "1"}, [["shop", "2"]], {})
    ],
}


def named(table: dict[str, list[Payload]]) -> Any:
    return pytest.mark.parametrize("payloads", table.values(), ids=table.keys())


@named(TOGETHER)
def test_does_not_split_an_issue(payloads: list[Payload]) -> None:
    keys = [grouped(payload).key for payload in payloads]
    assert len(payloads) > 1 and set(keys) == {keys[0]}


@named(APART)
def test_tells_issues_apart(payloads: list[Payload]) -> None:
    assert len(payloads) > 1
    for one, other in combinations([grouped(payload) for payload in payloads], 2):
        assert one.key != other.key and one.hash != other.hash


@pytest.mark.parametrize(
    ("payload", "reason", "key"),
    [
        (calls("pay", "charge"), "stack trace", "ValueError at shop.pay:pay > shop.pay:charge"),
        (
            error(library("flask.app:dispatch")),
            "stack trace",
            "ValueError at flask.app:dispatch",
        ),
        (
            error(type="E", value="order 17 of ada@example.org"),
            "exception type and message",
            "E: order <number> of <email>",
        ),
        ({"message": "disk 3 full"}, "message", "message disk <number> full"),
        ({}, "message", "no message"),
        ({"transaction": "/pay"}, "message", "no message in /pay"),
        (
            chain(exc(type="KeyError"), exc(py("shop:pay"), type="E")),
            "stack trace",
            "E at shop:pay\ncaused by KeyError",
        ),
        (
            in_group(exc(type="B"), exc(py("shop:task"), type="A")),
            "stack trace",
            "ExceptionGroup at shop.pay:batch\nof A at shop:task\nof B",
        ),
        (
            {**calls("pay"), "fingerprint": ["{{ default }}", "acme"]},
            "fingerprint of the client",
            "fingerprint\ndefault ValueError at shop.pay:pay\n- acme",
        ),
        (
            script(FN, None, context_line=SRC),
            "stack trace",
            "TypeError at shop/pay.js:<anonymous> «total = cart.items.reduce(add)»",
        ),
        (
            script("/js/main.3f9a1c2b.js", "t", value="no cart 7"),
            "stack trace",
            "TypeError at js/main.js:<anonymous> saying no cart <number>",
        ),
        (
            calls("main", *["odd", "even"] * 5, type="RecursionError"),
            "stack trace",
            "RecursionError at shop.pay:even > shop.pay:odd > …",
        ),
    ],
)
def test_key_says_why_in_words(payload: Payload, reason: str, key: str) -> None:
    assert (grouped(payload).reason, grouped(payload).key) == (reason, key)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("error.value", "card <number>"),
        ("message", "card <number>"),
        ("transaction", "/pay"),
        ("function", "pay"),
        ("stack.function", "pay"),
        ("module", "shop.pay"),
        ("stack.module", "shop.pay"),
        ("package", "<no-package>"),
        ("level", "error"),
        ("logger", "shop"),
        ("tags.shop", "7"),
        ("tags.none", "<no-value-for-tag-none>"),
        ("unheard.of", "{{unheard.of}}"),
    ],
)
def test_variables_of_a_fingerprint_are_filled_in(variable: str, expected: str) -> None:
    event = {**calls("pay", value="card 5"), "transaction": "/pay", "logger": "shop"}
    event |= {"tags": {"shop": "7"}, "fingerprint": ["x-{{" + variable + "}}"]}
    assert grouped(event).key == f"fingerprint\n- x-{expected}"


@pytest.mark.parametrize(
    "case",
    [
        ["sentry-node-7.120.4__aggregate", "sentry-node-8.55.2__aggregate"]
        + ["sentry-node-11.12.0__aggregate"],
        ["sentry-node-7.120.4__session.3-event", "sentry-node-8.55.2__session.3-event"],
        ["sentry-node-7.120.4__attachment", "sentry-node-8.55.2__attachment"],
        [
            "sentry-node-7.120.4__tunnel",
            "sentry-node-8.55.2__tunnel",
            "sentry-node-11.12.0__tunnel",
        ],
        ["sentry-python-1.45.1__flask-500", "sentry-python-2.75.0__flask-500-nopii-none"],
        ["sentry-python-1.45.1__sessions-aggregate-none", "sentry-python-2.75.0__flask-chained-br"],
        ["sentry-python-1.45.1__exception", "sentry-python-2.75.0__attachment-none"],
    ],
    ids=lambda case: case[-1],
)
def test_versions_of_one_sdk_make_one_issue_of_one_bug(case: list[str]) -> None:
    keys = {grouped(payload_of(name)).key for name in case}
    assert len(keys) == 1


def test_grouping_is_made_of_a_version_and_a_key() -> None:
    assert GROUPING_VERSION == grouped({}).version == "2"
    assert len(Grouping("1", "a key").hash) == 64


def test_deep_stack_gives_a_key_that_can_be_read() -> None:
    key = grouped(calls(*(f"step_{n}" for n in range(5000)), "pay")).key
    assert key.endswith("shop.pay:pay") and key.count(">") == 19


@given(
    st.dictionaries(
        st.sampled_from(["exception", "message", "logentry", "fingerprint", "threads"])
        | st.sampled_from(["stacktrace", "tags", "transaction", "platform", "checksum"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        "values type value stacktrace frames function module filename abs_path "
                        "in_app context_line mechanism exception_id parent_id source synthetic "
                        "is_exception_group message params formatted crashed package".split()
                    ),
                    inner,
                    max_size=6,
                )
            ),
            max_leaves=25,
        ),
        max_size=6,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_payload_is_too_strange_to_be_grouped(payload: Payload) -> None:
    event = read(payload)
    assert group(event).hash and event.title and isinstance(event.culprit, str)


def test_version_1_finds_the_issues_that_it_made() -> None:
    kept = json.loads((FOLDER.parent / "grouping_v1.json").read_text())

    keys = {name: group_v1(read(payload_of(name))).key for name in kept}

    assert keys == kept and len(kept) > 40
    assert group_v1(read({})).version == "1"


@pytest.mark.parametrize("parts", [["db"], ["{{ type }}"], ["{{ function }}", "{{ message }}"]])
def test_fingerprint_is_the_same_in_both_versions(parts: list[str]) -> None:
    wrapped = chain(
        exc(py("shop.pay:pay"), type="KeyError", value="'price'"),
        exc(library("flask.app:dispatch"), type="ViewError", value="view 7 failed"),
    )
    event = read({**wrapped, "fingerprint": parts})

    assert group(event).key == group_v1(event).key


@pytest.mark.parametrize("grouped_by", [group, group_v1])
def test_both_versions_say_which_rule_ignores_an_event(grouped_by: Any) -> None:
    rule = parse_rule("type:ValueError", kind="ignore", name="noise")

    assert grouped_by(read(calls("pay")), [rule]).ignored_by == "noise"
