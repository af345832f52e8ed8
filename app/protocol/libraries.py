"""Recognises the code of frameworks and runtimes by name, whatever the client marks as in-app.

A client often marks no frame at all, or all frames as foreign, or all frames as the application's.
Then the names tell the frames of the application from those of its libraries.
"""

from __future__ import annotations

import re
from functools import lru_cache

from app.protocol.stack import Frame, FrameNames, is_in_library, is_in_vendor_file

# Modules and classes: a whole name, or the part of a name before a dot or a dollar sign.
_MODULE = re.compile(
    r"(?:io\.(?:reactivex|ktor|undertow|micrometer|grpc|vertx|quarkus|sentry(?!\.(?:samples?|example)))"
    r"|rx\.(?:internal|observers|plugins|exceptions)|reactor\.(?:core|netty|util)"
    r"|okhttp3|okio|retrofit2|com\.squareup|com\.(?:android|facebook\.react|unity3d\.player)"
    r"|com\.google\.(?:android|firebase|common|gson|inject)|com\.(?:fasterxml|zaxxer|mysql)"
    r"|org\.(?:eclipse\.jetty|jboss|glassfish|slf4j|junit|postgresql|reactivestreams)"
    r"|ch\.qos\.logback|dagger|groovy\.lang|clojure\.(?:lang|core)|akka|zio|cats\.effect"
    r"|unityengine|unityeditor|newtonsoft\.json|sentry_sdk|raven)(?:[.$+]|$)",
    re.IGNORECASE,
)
# Namespaces and functions, for frames without a module. Applications also use the names ``core``
# and ``alloc``, so these match only with the names of Rust's own modules below them.
_FUNCTION = re.compile(
    r"<?(?:std|boost|__gnu_cxx|__cxxabiv1|crashpad|google_breakpad|sentry)::"
    r"|<?core::(?:panicking|result|option|ops|iter|slice|str|cell|ptr|fmt|num|future|task)::"
    r"|<?alloc::(?:vec|string|boxed|rc|sync|slice|raw_vec|alloc|collections|borrow)::"
    r"|_{0,3}rust_\w|UnityE(?:ngine|ditor)\.|[-+]\[Sentry"
    r"|(?:abort|raise|gsignal|kill|_{0,2}pthread_kill|_sigtramp|__restore_rt|__kernel_rt_sigreturn"
    r"|_start|start_thread|clone3?|__libc_start_main|__scrt_common_main_seh|invoke_main"
    r"|RtlUserThreadStart|BaseThreadInitThunk)$"
)
# Binaries of the operating system. Some clients send them without a folder.
_BINARY = re.compile(
    r"/(?:apex|system/(?:lib(?:64)?|bin|framework))/|\[vdso\]$"
    r"|(?:.{0,300}/)?lib(?:c|m|dl|art|log|pthread|stdc\+\+|c\+\+|gcc_s)(?:[-.]\d[\w.]{0,20})?\.so[\d.]*$"
    r"|lib(?:dyld|dispatch|objc|c\+\+|system_\w{1,40})(?:\.\w{1,4})?\.dylib$"
    r"|(?:UIKit|UIKitCore|CoreFoundation|Foundation|GraphicsServices|QuartzCore|AppKit|CFNetwork"
    r"|HIToolbox|SwiftUI|AttributeGraph)$|(?:ntdll|kernel32|kernelbase|user32|ucrtbase)\.dll$",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"org-dartlang-sdk:|dart:|package:(?:flutter|sentry\w{0,20})/")


def own_frames(frames: list[Frame]) -> list[Frame]:
    """Return the frames that the client marked as in-app, without known frameworks."""
    return [frame for frame in frames if frame.in_app and _is_own(frame.names)]


@lru_cache(maxsize=4096)
def _is_own(names: FrameNames) -> bool:
    return not is_in_vendor_file(names) and not _is_of_framework(names)


def likely_frames(frames: list[Frame]) -> list[Frame]:
    """Return the frames that are not of a known library, for clients that marked no frame."""
    return [frame for frame in frames if _is_likely(frame.names)]


@lru_cache(maxsize=4096)
def _is_likely(names: FrameNames) -> bool:
    path = names.abs_path or names.filename or names.package
    return not _is_of_framework(names) and not is_in_library(names.module, path)


def newest_own_frame(frames: list[Frame]) -> Frame | None:
    """Return the newest frame of the application, or else the newest frame of all."""
    candidates = own_frames(frames) or likely_frames(frames) or frames
    return candidates[-1] if candidates else None


def _is_of_framework(names: FrameNames) -> bool:
    """Return whether these are the names of a framework, a runtime or a Sentry SDK."""
    module, function = (names.module or "")[:200], (names.function or "")[:200]
    if _SOURCE.match(names.abs_path or names.filename or "") or _BINARY.match(
        (names.package or "")[:300]
    ):
        return True
    return bool(_MODULE.match(module) if module else _FUNCTION.match(function))
