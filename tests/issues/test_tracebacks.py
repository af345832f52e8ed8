"""Stacks that were logged as text, in the form of each language."""

from __future__ import annotations

import pytest

from app.issues.similarity import terms_of
from app.issues.tracebacks import MAX_LINES, read_traceback
from tests.issues.payloads import error, py, read

PYTHON = """2026-11-24 10:00:00 ERROR worker failed
Traceback (most recent call last):
  File "/srv/app/shop/web.py", line 12, in post
    return total(cart)
  File "/srv/app/shop/cart.py", line 7, in total
    return prices[article]
           ~~~~~~^^^^^^^^^
KeyError: 'price'"""
NODE = """TypeError: Cannot read properties of undefined (reading 'price')
    at total (/srv/app/dist/cart.js:12:7)
    at async Server.post (/srv/app/dist/web.js:4:1)
    at node:internal/process/task_queues:95:5"""
JAVA = """java.lang.IllegalStateException: cart is closed
\tat com.acme.shop.Cart.total(Cart.java:12)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\t... 3 more"""
CSHARP = """System.InvalidOperationException: cart is closed
   at Shop.Cart.Total(Int32 id) in C:\\src\\shop\\Cart.cs:line 12
   at System.Threading.Tasks.Task.Execute()"""
GO = """panic: cart is closed

goroutine 17 [running]:
github.com/acme/shop/cart.(*Cart).Total(0xc000012018, 0x1)
\t/go/src/shop/cart/cart.go:12 +0x1d
main.main()
\t/go/src/shop/main.go:7 +0x25"""
RUBY = """cart.rb:12:in `total': cart is closed (CartError)
\tfrom web.rb:4:in `post'"""
PHP = """PHP Fatal error:  Uncaught LogicException: cart is closed in /srv/Cart.php:12
Stack trace:
#0 /srv/shop/Web.php(4): App\\Cart->total()
#1 {main}"""


@pytest.mark.parametrize(
    ("text", "said", "newest", "count"),
    [
        (PYTHON, "KeyError: 'price'", ("/srv/app/shop/cart.py", None, "total"), 2),
        (NODE, NODE.splitlines()[0], ("/srv/app/dist/cart.js", None, "total"), 3),
        (JAVA, JAVA.splitlines()[0], ("Cart.java", "com.acme.shop.Cart", "total"), 2),
        (CSHARP, CSHARP.splitlines()[0], ("C:\\src\\shop\\Cart.cs", None, "Shop.Cart.Total"), 2),
        (GO, "panic: cart is closed", (None, "github.com/acme/shop/cart", "(*Cart).Total"), 2),
        (RUBY, "CartError: cart is closed", ("cart.rb", None, "total"), 2),
        (PHP, PHP.splitlines()[0], ("/srv/shop/Web.php", None, "App\\Cart->total"), 1),
    ],
)
def test_calls_and_the_line_of_the_error_are_read_out_of_a_text(
    text: str, said: str, newest: tuple[str | None, ...], count: int
) -> None:
    found = read_traceback(text)
    assert found is not None and found.said == said and len(found.frames) == count
    frame = found.frames[-1]
    assert (frame.filename, frame.module, frame.function) == newest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cart is closed",
        "cart is closed\nat 10:30\nat noon (local time)",
        "see shop.total()\nshop.total() is slow\n",
        '  File "/srv/app/shop/cart.py", line 7, in total',
        "\n".join(["filler"] * MAX_LINES + [PYTHON]),
    ],
)
def test_text_without_a_stack_has_none(text: str) -> None:
    assert read_traceback(text) is None


def test_logged_stack_is_compared_as_one_that_an_sdk_sent() -> None:
    sent = error(py("shop.web:post"), py("shop.cart:total"), type="KeyError", value="'price'")
    assert set(terms_of(read({"message": PYTHON}))) == set(terms_of(read(sent)))
