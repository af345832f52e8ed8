"""Pairs of events of every kind that clients send: one bug, or two.

Each pair is written for this project after a kind of public report. Those that are wrong stand in
``KNOWN_WRONG`` with their reason, and fail here as soon as they come right.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.issues.payloads import (
    Payload,
    at,
    chain,
    error,
    exc,
    grouped,
    mechanism,
    py,
    script,
)

APP = "/private/var/containers/Bundle/Application"


def library(call: str) -> Payload:
    return py(call, in_app=False)


def java(module: str, function: str = "run", **more: Any) -> Payload:
    return error(
        {"module": module, "function": function, "in_app": True, **more}, type="IllegalState"
    )


def native(function: str, **more: Any) -> Payload:
    frame = {"function": function, "package": "/opt/shop/shopd", "in_app": True, **more}
    return {"platform": "native", **error(frame, type="SIGSEGV", value="Segfault")}


def address(offset: int, base: int = 0x7F0000, **more: Any) -> Payload:
    frame = {"instruction_addr": hex(base + offset), "image_addr": hex(base)}
    frame["package"] = "/opt/shop/libpay.so"
    return {"platform": "native", **error({**frame, **more}, type="SIGSEGV", value="Segfault")}


def in_image(offset: int, base: int) -> Payload:
    image = {"type": "elf", "code_file": "/opt/shop/libpay.so", "image_addr": hex(base)}
    frame = {"instruction_addr": hex(base + offset), "in_app": True}
    return {
        "platform": "native",
        **error(frame, type="SIGSEGV", value="Segfault"),
        "debug_meta": {"images": [{**image, "image_size": 0x10000}]},
    }


def wrapped(own: str, wrapper: str, said: str, call: str = "framework.core:run") -> Payload:
    """A bug of the application in a library's wrapper."""
    cause = exc(library(call), py(own), type="StateError", value="nothing there")
    return chain(cause, exc(library(call), type=wrapper, value=said))


def browser(
    *names: str | None, page: str = "https://shop.example.org/cart", **more: Any
) -> Payload:
    """An event of scripts that stand in a page; ``None`` is a function without a name."""
    frames = [at("/cart", name, abs_path=page, in_app=False) for name in names]
    return {"platform": "javascript", **error(*frames, type="TypeError", **more)}


def caught_by_react(value: str) -> Payload:
    folder = "https://shop.example.org/node_modules/react-dom/cjs/react-dom.development.js"
    frames = [at(folder, name, in_app=False) for name in ("renderRoot", "callCallback")]
    return {"platform": "javascript", **error(*frames, type="ReferenceError", value=value)}


def unmarked_wrapper(own: str, mark: bool | None) -> Payload:
    """A bug in a wrapper of a framework, where the client marks every call alike."""
    cause = exc(py(own, in_app=mark), type="ClassCastException")
    thrown = py("io.reactivex.internal.functions.Functions:accept", in_app=mark)
    return chain(cause, exc(thrown, type="OnErrorNotImplementedException"))


def of_apple(code: int, domain: str = "ShopErrorDomain") -> Payload:
    reported = {"type": "NSError", "meta": {"ns_error": {"domain": domain, "code": code}}}
    value = f"Code={code} Description=The order could not be sent."
    return error(at("Shop", "report"), type=domain, value=value, mechanism=reported)


def in_group_of_tasks(*messages: str) -> Payload:
    """A group of exceptions of which none was raised, so that none has calls."""
    members = [
        {**exc(type="TaskError", value=message), "mechanism": mechanism(n, 0, f"exceptions[{n}]")}
        for n, message in enumerate(messages, 1)
    ]
    group = {"exception_id": 0, "is_exception_group": True}
    return chain(*members, {**exc(type="GroupError", value="tasks failed"), "mechanism": group})


def without_stack(type: str, value: str) -> Payload:
    return error(type=type, value=value)


SAME: dict[str, tuple[Payload, Payload]] = {
    # A wrapper of a library around one bug.
    "wrapper names what differs": (
        wrapped("shop.Cart:open", "RuntimeException", "Unable to start activity {a/Cart@1}"),
        wrapped("shop.Cart:open", "RuntimeException", "Unable to resume activity {a/Cart@2}"),
    ),
    "with and without the library's wrapper": (
        wrapped("shop.Cart:open", "CompletionException", "StateError: nothing there"),
        error(library("framework.core:run"), py("shop.Cart:open"), type="StateError"),
    ),
    "one wrapper or two": (
        wrapped("shop.Cart:open", "ServletException", "failed"),
        chain(
            exc(py("shop.Cart:open"), type="StateError"),
            exc(library("pool:get"), type="ExecutionException"),
            exc(library("framework.core:run"), type="ServletException"),
        ),
    ),
    # Classes that generators make.
    "Hibernate": (
        java("shop.User$HibernateProxy$aB3dEf9x", "getName"),
        java("shop.User$HibernateProxy$Zz01kLmN", "getName"),
    ),
    "ByteBuddy": (java("shop.User$ByteBuddy$aB3dEf9x"), java("shop.User$ByteBuddy$Zz01kLmN")),
    "Mockito": (java("shop.User$MockitoMock$1203"), java("shop.User$MockitoMock$99")),
    "Javassist": (java("shop.User_$$_jvst3f9_0"), java("shop.User_$$_jvst07c_12")),
    "Javassist by its number": (java("shop.User_$$_javassist_3"), java("shop.User_$$_javassist_7")),
    "Javassist as a file": (
        error(at("User_$$_javassist_seam_3.java", "find")),
        error(at("User_$$_javassist_seam_91.java", "find")),
    ),
    "CGLIB": (
        java("shop.User$$EnhancerByCGLIB$$1a2b3c4d"),
        java("shop.User$$EnhancerByCGLIB$$99ff00aa"),
    ),
    "Spring's CGLIB": (java("shop.User$$SpringCGLIB$$0"), java("shop.User$$SpringCGLIB$$12")),
    "proxy modules of Java": (java("jdk.proxy2.$Proxy33"), java("jdk.proxy3.$Proxy101")),
    "D8's synthetic lambdas": (
        java("shop.Cart$$ExternalSyntheticLambda0", "onClick"),
        java("shop.Cart$$ExternalSyntheticLambda7", "onClick"),
    ),
    "D8's old lambdas": (
        java("shop.-$$Lambda$Cart$TsuB3_xyz"),
        java("shop.-$$Lambda$Cart$aa9-Qw0rt"),
    ),
    "hidden classes of Java 21": (
        java("shop.Cart$$Lambda/0x00007f1a2c001234"),
        java("shop.Cart$$Lambda/0x00007faa00112233"),
    ),
    "lambda with and without D8": (
        java("shop.Cart", "lambda$open$1"),
        java("shop.Cart", "lambda$open$0$com-shop-Cart"),
    ),
    "anonymous classes of Kotlin": (
        java("shop.Cart$open$1", "invoke"),
        java("shop.Cart$open$2", "invoke"),
    ),
    "Scala": (java("shop.Cart", "$anonfun$open$1"), java("shop.Cart", "$anonfun$open$4$adapted")),
    "Clojure's functions": (
        java("shop.core$pay__1204", "invoke"),
        java("shop.core$pay__17", "invoke"),
    ),
    "Clojure's nameless functions": (
        java("shop.core$pay$fn__1204", "invoke"),
        java("shop.core$pay$fn__9", "invoke"),
    ),
    "Clojure at the prompt": (java("user$eval1204", "invoke"), java("user$eval99", "invoke")),
    # Other languages.
    "Objective-C's blocks": (
        native("__31-[Cart openWith:]_block_invoke_2"),
        native("__31-[Cart openWith:]_block_invoke.45"),
    ),
    "blocks of a C function": (native("__pay_block_invoke"), native("__pay_block_invoke_3.12")),
    "clang's copies": (native("pay.45"), native("pay")),
    "GCC's parts": (native("pay.isra.0"), native("pay.part.1.cold")),
    "link time optimisation": (native("pay.llvm.1234567890"), native("pay.lto_priv.3")),
    "CUDA's internal names": (
        native("_INTERNAL_8_pay_cu_3f9a1c2b_1234::pay(int)"),
        native("_INTERNAL_8_pay_cu_99aa00ff_77::pay(int)"),
    ),
    "internal linkage by a hash": (
        native("_INTERNAL3f9a1c2b::pay"),
        native("_INTERNAL0011aabb::pay"),
    ),
    "Rust's hash": (
        native("pay::go::h0123456789abcdef"),
        native("pay::go::hfedcba9876543210.llvm.7"),
    ),
    "Rust's crates": (native("shop[1a2b3c4d5e6f7a8b]::pay"), native("shop[99aa00bb11cc22dd]::pay")),
    "Swift's specialisations": (native("specialized Cart.open()"), native("Cart.open()")),
    "Swift's async parts": (
        native("(1) await resume partial function for Cart.open()"),
        native("(3) suspend resume partial function for Cart.open()"),
    ),
    "Swift's thunks": (
        error(at("Cart.swift", "open"), at("Pay.swift", "go")),
        error(
            at("Cart.swift", "open"),
            at("<compiler-generated>", "@callee_guaranteed"),
            at("Pay.swift", "go"),
        ),
    ),
    "ERB": (
        error(at("app/views/a.html.erb", "_app_views_a_html_erb___3327151541118998292_70361")),
        error(at("app/views/a.html.erb", "_app_views_a_html_erb__912738123_4420")),
    ),
    "C#: lambdas of a method": (
        java("Shop.Cart+<>c__DisplayClass4_0", "<Open>b__0"),
        java("Shop.Cart+<>c", "<Open>b__3_1"),
    ),
    "C#: async methods": (
        java("Shop.Cart+<OpenAsync>d__12", "MoveNext"),
        java("Shop.Cart+<OpenAsync>d__7`1", "MoveNext"),
    ),
    "C#: local functions": (
        java("Shop.Cart", "<Open>g__Add|3_0"),
        java("Shop.Cart", "<Open>g__Add|9_2"),
    ),
    "F#": (java("Shop.Cart", "open@34-1"), java("Shop.Cart", "open@99")),
    "Unity": (
        java("Cart", "Cart_Open_m0123456789ABCDEF0123456789ABCDEF01234567"),
        java("Cart", "Cart_Open_mFEDCBA9876543210FEDCBA9876543210FEDCBA98"),
    ),
    "PHP: classes without a name": (
        error(at("/srv/app/shop/pay.php", "App\\Cart@anonymous\0/srv/a/pay.php:12$3f::open")),
        error(at("/srv/app/shop/pay.php", "App\\Cart@anonymous\0/srv/b/pay.php:19$0::open")),
    ),
    "PHP: type without a name": (
        error(py("shop:pay"), type="Shop\\Error@anonymous\0/srv/a.php:3$0"),
        error(py("shop:pay"), type="Shop\\Error@anonymous\0/srv/a.php:9$1f"),
    ),
    "PHP: closures inside closures": (
        error(at("/srv/app/shop/pay.php", "{closure:{closure:Cart::open():12}:14}")),
        error(at("/srv/app/shop/pay.php", "{closure:{closure:Cart::open():19}:21}")),
    ),
    "Go: closures and their wrappers": (
        error(py("main:open.func1.gowrap2")),
        error(py("main:open.func3.gowrap1")),
    ),
    "Go: range over functions": (error(py("main:open-range1")), error(py("main:open-range2"))),
    "Python: cells of a notebook": (
        error(at("/tmp/ipykernel_4711/1234567890.py", "<cell line: 1>", context_line="pay()")),
        error(at("/tmp/ipykernel_12/987654321.py", "<cell line: 7>", context_line="pay()")),
    ),
    "Perl: code without a name": (
        error(at("shop/Pay.pm", "Shop::__ANON__[/srv/Pay.pm:12]")),
        error(at("shop/Pay.pm", "Shop::__ANON__[/srv/Pay.pm:19]")),
    ),
    # Arguments of C++, compilers' own calls, runtimes around the application.
    "C++: sizes of integers": (
        native("shop::Cart::add(unsigned long, int) const"),
        native("shop::Cart::add(unsigned long long, int) const"),
    ),
    "C++: with and without parameters": (native("pay(int)"), native("pay")),
    "C++: arguments of templates": (
        native("shop::List<std::__1::basic_string<char> >::push(std::__1::basic_string<char>)"),
        native("shop::List<std::__cxx11::basic_string<wchar_t> >::push"),
    ),
    "C++: namespaces without a name": (
        native("?A0x3f9a1c2b::pay"),
        native("`anonymous namespace'::pay"),
    ),
    "Swift's bridges": (native("@objc Cart.open(Any)"), native("Cart.open(Any)")),
    "Swift's thunks without a file": (
        {"platform": "cocoa", **error(at("Shop", "open"), at("Shop", "pay"))},
        {
            "platform": "cocoa",
            **error(at("Shop", "open"), at("Shop", "thunk for closure"), at("Shop", "pay")),
        },
    ),
    "C#: compiled expressions": (
        error(at("", "lambda_method", module="(unknown)"), py("Shop.Cart:Open")),
        error(at("", "lambda_method12", module="(unknown)"), py("Shop.Cart:Open")),
    ),
    "runtime of Rust, which an old client marks": (
        native("shop::pay"),
        error(
            {"function": "___rust_maybe_catch_panic", "in_app": True},
            {"function": "shop::pay", "package": "/opt/shop/shopd", "in_app": True},
            type="SIGSEGV",
            value="Segfault",
        ),
    ),
    "how a process was ended": tuple(
        error(
            {"function": "shop::pay", "package": "/opt/shop/shopd", "in_app": False},
            *({"function": name, "package": library, "in_app": False} for name, library in end),
            type="SIGABRT",
        )
        for end in (
            [("abort", "libsystem_c.dylib"), ("__pthread_kill", "libsystem_kernel.dylib")],
            [("raise", "/lib/x86_64-linux-gnu/libc.so.6")],
        )
    ),  # type: ignore[dict-item]
    # One function in several browsers.
    "browsers: receivers": (browser("Cart.open", "Object.pay"), browser("open", "pay")),
    "browsers: elements": (
        browser("open", "HTMLButtonElement.onclick"),
        browser("open", "HTMLDivElement.onclick"),
    ),
    "browsers: functions inside functions": (
        browser("open", None, "pay"),
        browser("open", "open/<", "open/pay"),
    ),
    "browsers: minified functions inside functions": (
        browser("open", "e/</a</<", "t[e]/pay<"),
        browser("open", "n/</r</<", "c[o]/pay<"),
    ),
    "browsers: eval in a page": (browser("open", "eval", "pay"), browser("open", None, "pay")),
    # Bundlers.
    "Vite": (script("/assets/index-BK3s9f-a.js"), script("/assets/index-Bq_zTdaX.js")),
    "Vite: hashes of letters": (
        script("/assets/cart-DiwrgTda.js"),
        script("/assets/cart-unzeOanI.js"),
    ),
    "Rollup: the hash alone": (
        script("/_app/chunks/DiwrgTda.js"),
        script("/_app/chunks/BK3s9f-a.js"),
    ),
    "esbuild: hashes of letters": (script("/chunk-ABQXDKWZ.js"), script("/chunk-A2QXD7WZ.js")),
    "Vite's names of imports": (
        script("/src/pay.ts", "__vite_ssr_import_3__.charge"),
        script("/src/pay.ts", "__vite_ssr_import_11__.charge"),
    ),
    "WebAssembly by its hash": (
        error(at("https://x.org/pkg/shop_bg.3f9a1c2b4d5e.wasm", "pay")),
        error(at("https://x.org/pkg/shop_bg.0011aabbccdd.wasm", "pay")),
    ),
    "WebAssembly without a file": (
        error(at("wasm://wasm/shop-3f9a1c2b", "pay")),
        error(at("wasm://wasm/shop-0011aabb", "pay")),
    ),
    "Hermes": (
        script("app:///main.jsbundle", "?anon_0_open"),
        script("app:///main.jsbundle", "open"),
    ),
    # Native code without symbols.
    "loaded at another address": (address(0x1000), address(0x1000, base=0x990000)),
    "image by its address": (in_image(0x1000, 0x7F0000), in_image(0x1000, 0xAA0000)),
    "address in the type": (
        error(py("shop:pay"), type="SIGSEGV / 0x7fff12"),
        error(py("shop:pay"), type="SIGSEGV / 0xdead00"),
    ),
    # Messages.
    "id in quotes": (without_stack("KeyError", "'8fK2x9qq'"), without_stack("KeyError", "'4711'")),
    "uuid in quotes": (
        without_stack("KeyError", "'550e8400-e29b-41d4-a716-446655440000'"),
        without_stack("KeyError", "'00000000-0000-4000-8000-000000000001'"),
    ),
    "address in quotes": (
        without_stack("Bounce", "no mailbox 'ada@example.org'"),
        without_stack("Bounce", "no mailbox 'b.ob@mail.example.com'"),
    ),
    "user in quotes": ({"message": "user 'ada' not found"}, {"message": "user 'bob' not found"}),
    "input in quotes": (
        without_stack("ValueError", "could not convert string to float: 'abc'"),
        without_stack("ValueError", "could not convert string to float: 'x-y'"),
    ),
    "name without a word before it": (
        {"message": "'ada' signed in twice"},
        {"message": "'bob' signed in twice"},
    ),
}

DIFFERENT: dict[str, tuple[Payload, Payload]] = {
    "wrapper of a framework, all calls marked foreign": (
        unmarked_wrapper("shop.Cart:open", mark=False),
        unmarked_wrapper("shop.Login:open", mark=False),
    ),
    "wrapper of a framework, no call marked": (
        unmarked_wrapper("shop.Cart:open", mark=None),
        unmarked_wrapper("shop.Login:open", mark=None),
    ),
    "errors that only React's calls are known of": (
        caught_by_react("total is not defined"),
        caught_by_react("price is not defined"),
    ),
    "codes of one domain of Apple": (of_apple(-1001), of_apple(-1009)),
    "members of a group without any stack": (
        in_group_of_tasks("disk full"),
        in_group_of_tasks("no route to host"),
    ),
    "cause of an error without any stack": tuple(
        chain(exc(type="IOError", value=said), exc(type="JobError", value="job failed"))
        for said in ("disk full", "no route to host")
    ),  # type: ignore[dict-item]
    "errors written as code": (
        {"message": "task failed: StateError('cart is closed')"},
        {"message": "task failed: StateError('no such coupon')"},
    ),
    "functions of C++": (native("shop::Cart::add(int)"), native("shop::Cart::drop(int)")),
    "operators of C++": (native("shop::Cart::operator<"), native("shop::Cart::operator()")),
    "functions inside a function of Firefox": (
        browser("open", "open/pay"),
        browser("open", "open/ship"),
    ),
    "Android's wrapper": (
        wrapped("shop.Cart:open", "RuntimeException", "Unable to start activity"),
        wrapped("shop.Login:open", "RuntimeException", "Unable to start activity"),
    ),
    "AggregateException": (
        wrapped("Shop.Cart:Open", "AggregateException", "One or more errors occurred."),
        wrapped("Shop.Mail:Send", "AggregateException", "One or more errors occurred."),
    ),
    "wrapper that is a group of one": tuple(
        chain(
            {
                **exc(py(own), type="E"),
                "mechanism": {"exception_id": 1, "parent_id": 0, "source": "InnerExceptions[0]"},
            },
            {
                **exc(library("tasks:wait"), type="AggregateException"),
                "mechanism": {"exception_id": 0, "is_exception_group": True},
            },
        )
        for own in ("Shop.Cart:Open", "Shop.Mail:Send")
    ),  # type: ignore[dict-item]
    "cause of an error in a script": tuple(
        chain(
            exc(at("https://x.org/cart.js", name), type="TypeError"),
            exc(at("https://x.org/vendor.js", "request"), type="Error", value="request failed"),
        )
        for name in ("open", "close")
    ),  # type: ignore[dict-item]
    "filter before a servlet": tuple(
        chain(
            exc(py("shop.Filter:do"), library("servlet:go"), py(own), type="E"),
            exc(py("shop.Filter:do"), library("servlet:go"), type="ServletException"),
        )
        for own in ("shop.Cart:open", "shop.Login:open")
    ),  # type: ignore[dict-item]
    "the application's own wrapper": tuple(
        chain(exc(py("shop.db:load"), type="E"), exc(py(own), type="PaymentError"))
        for own in ("shop.pay:charge", "shop.pay:refund")
    ),  # type: ignore[dict-item]
    "lambdas of one method by their message": (
        java("shop.Cart", "lambda$open$1") | {"level": "error"},
        error(
            {"module": "shop.Cart", "function": "lambda$open$2", "in_app": True},
            type="IllegalState",
            value="closed twice",
        ),
    ),
    "lambdas of one method by their source": (
        java("shop.Cart", "lambda$open$1", context_line="a.close()"),
        java("shop.Cart", "lambda$open$2", context_line="b.close()"),
    ),
    "anonymous classes by their source": (
        java("shop.Cart$open$1", "invoke", context_line="a.close()"),
        java("shop.Cart$open$2", "invoke", context_line="b.close()"),
    ),
    "lambdas of C++": (
        native("main::{lambda()#1}::operator()() const", context_line="a->close();"),
        native("main::{lambda()#2}::operator()() const", context_line="b->close();"),
    ),
    "bare lambdas of C++": (
        native("$_0::operator()", context_line="a->close();"),
        native("$_1::operator()", context_line="b->close();"),
    ),
    "closures of Go": (
        error(py("main:open.func1", context_line="a.Close()")),
        error(py("main:open.func2", context_line="b.Close()")),
    ),
    "closures of Rust": (
        native("shop::open::{{closure}}", context_line="a.unwrap()"),
        native("shop::open::{{closure}}", context_line="b.unwrap()"),
    ),
    "offsets in one library": (address(0x1000), address(0x8888)),
    "offsets in one image": (in_image(0x1000, 0x7F0000), in_image(0x8888, 0x7F0000)),
    "one offset in two libraries": (address(0x1000), address(0x1000, package="/opt/x/libship.so")),
    "methods of a class without a name in PHP": (
        error(at("/srv/app/shop/pay.php", "App\\Cart@anonymous\0/srv/a/pay.php:12$3f::open")),
        error(at("/srv/app/shop/pay.php", "App\\Cart@anonymous\0/srv/a/pay.php:12$3f::shut")),
    ),
    "keys in a message": ({"message": "KeyError: 'price'"}, {"message": "KeyError: 'address'"}),
    "names": (
        without_stack("NameError", "name 'price' is not defined"),
        without_stack("NameError", "name 'total' is not defined"),
    ),
    "modules of one folder": (script("/src/oauth2v1.ts"), script("/src/oauth1v2.ts")),
    "keys": (without_stack("KeyError", "'price'"), without_stack("KeyError", "'address'")),
    "attributes": (
        without_stack("AttributeError", "'NoneType' object has no attribute 'price'"),
        without_stack("AttributeError", "'NoneType' object has no attribute 'total'"),
    ),
    "columns": ({"message": 'no such column "price"'}, {"message": 'no such column "total"'}),
    "proxies of two classes": (
        java("shop.User$HibernateProxy$aB3dEf9x"),
        java("shop.Order$HibernateProxy$aB3dEf9x"),
    ),
    "two functions of Clojure": (
        java("shop.core$pay__1", "invoke"),
        java("shop.core$ship__1", "invoke"),
    ),
    "blocks of two methods": (
        native("__31-[Cart openWith:]_block_invoke"),
        native("__31-[Cart shutWith:]_block_invoke"),
    ),
    "components in camel case": (script("/src/shop-UserList.js"), script("/src/shop-DataGrid.js")),
    "files of eight letters": (script("/src/checkout.js"), script("/src/products.js")),
    "templates": (
        error(at("app/views/a.html.erb", "_app_views_a_html_erb___33271515_70361")),
        error(at("app/views/b.html.erb", "_app_views_b_html_erb___33271515_70361")),
    ),
    "methods of Unity": (
        java("Cart", "Cart_Open_m0123456789ABCDEF0123456789ABCDEF01234567"),
        java("Cart", "Cart_Shut_m0123456789ABCDEF0123456789ABCDEF01234567"),
    ),
    "one block twice in a method": (
        native("__31-[Cart openWith:]_block_invoke"),
        native("__31-[Cart openWith:]_block_invoke_2"),
    ),
}

KNOWN_WRONG = {
    "name without a word before it": "a person's name in quotes looks like a key; without a stack "
    "and without a word such as user before it nothing tells them apart",
    "one block twice in a method": "the number of a block changes when another is added before it, "
    "and most blocks have no source",
}
PAIRS = [(name, True, pair) for name, pair in SAME.items()]
PAIRS += [(name, False, pair) for name, pair in DIFFERENT.items()]


def test_enough_pairs_are_right() -> None:
    assert len(PAIRS) - len(KNOWN_WRONG) >= 84
    assert KNOWN_WRONG.keys() <= {name for name, _, _ in PAIRS}


@pytest.mark.parametrize(
    ("is_same", "pair"),
    [
        pytest.param(
            is_same,
            pair,
            id=name,
            marks=[pytest.mark.xfail(strict=True, reason=KNOWN_WRONG[name])]
            if name in KNOWN_WRONG
            else [],
        )
        for name, is_same, pair in PAIRS
    ],
)
def test_pair_is_one_issue_or_two(is_same: bool, pair: tuple[Payload, Payload]) -> None:
    one, other = map(grouped, pair)

    assert pair[0] != pair[1]
    assert (one.key == other.key) is is_same, f"{one.key}\n{other.key}"
