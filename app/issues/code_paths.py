"""Code locations without the parts that a deployment changes.

These parts are release folders, users, hosts and bundle hashes.

https://shop.example.org/static/js/main.3f9a1c2b.js?v=7  ->  static/js/main.js
/srv/releases/20260101/shop/pay.py                      ->  shop/pay.py
"""

from __future__ import annotations

import re
from functools import lru_cache

from app.protocol.stack import MAX_PATH, SCRIPT_FILE, Named

# Modules that do not name a location: every script has the same one.
_NO_MODULES = frozenset({"", "?", "__main__", "__mp_main__", "<unknown module>", "<unknown>"})
_NO_FILES = frozenset({"", "?", "<anonymous>", "native", "[native code]", "native code", "unknown"})

_SCHEME = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{1,30}):/{2,3}")
_NAMES_HOST = re.compile(
    r"https?|file|wss?|capacitor|ionic|webpack|turbopack|[a-z-]{1,40}-extension"
)
_ABSOLUTE = re.compile(r"(?:file:/*)?(?:[a-zA-Z]:)?[\\/]")
_POSITION = re.compile(r"(?::\d+){1,2}$")
# The folders above these belong to the container runtime.
_CONTAINER_ROOTS = ("rootfs", "merged")
# These folders hold whole packages. A package has the same name wherever it is installed.
_PACKAGE_ROOT = re.compile(
    r"(?:site-packages|dist-packages|node_modules|bower_components|gems|python\d(?:\.\d+)?)$"
)
# Folders in which deployments and developers keep applications. Their names say nothing about the
# code.
_ROOTS = frozenset(
    "home opt srv var www usr local root tmp private mnt data app apps application code work "
    "workspace workspaces builds build github runner _work releases current deploy deploys "
    "deployment deployments shared task html htdocs inetpub wwwroot volumes overlay overlay2 "
    "merged diff docker containerd containers projects repos git dev checkout sources lib "
    "proc snap a layers public public_html site sites service services media media0 ephemeral "
    "storage".split()
)
# Every folder below one of these belongs to the application, whatever its name is.
_APPLICATIONS = frozenset({"app", "application", "html", "htdocs", "wwwroot", "task"})
# These are removed below an application's folder, too.
_RELEASES = frozenset({"releases", "current"})
# The folder after one of these belongs to a single user or release. "users" counts only as the
# first folder of a path.
_OWNERS = frozenset({"home", "releases", "containers", "volumes", "overlay2", "deployments"})
_VOLATILE = re.compile(
    r"\d+"  # an id, a date, an epoch
    r"|\d{4}[-_]\d\d[-_]\d\d\S*|\d{8,}[-_.]\S*"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?=[0-9a-f]{0,64}\d)[0-9a-f]{7,}|[0-9a-f]{12,}"
    r"|v?\d+\.\d[\w.+-]*"
    r"|(?:release|build|deploy|rev|version|v|r)[-_.]?\d+\S*"
    r"|[a-z]{1,64}[-_]\d{4,}\S*|[a-z]{1,64}-(?=[0-9a-f]{0,64}\d)[0-9a-f]{7,}"
    r"|tmp[-_.]?[a-z0-9_]{6,}|_mei\d+"
    # a build's random name
    r"|(?-i:(?=\D{0,100}\d)(?=[^a-z]{0,100}[a-z])(?=[^A-Z]{0,100}[A-Z])[\w-]{12,})",
    re.IGNORECASE,
)
# Folder names that are common to many projects. Such a folder is named with its parent folder.
_GENERIC = frozenset(
    "src lib dist out app build cjs esm es js static assets chunks pages components main java "
    "handlers controllers views models routes api services utils helpers core common server client "
    "internal pkg cmd tests".split()
)
_SEPARATED = re.compile(r"([.\-~])")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{6,}")
# Vite and Rollup: eight characters of base64url, which can contain the separators.
_BASE64_HASH = re.compile(r"[-.](?P<hash>[\w-]{8})(?=\.\w{1,10}$)")
_UNDERSCORED_HASH = re.compile(r"_(?=[0-9a-f]*\d)[0-9a-f]{8,}(?=[._-])")
_BASE32 = re.compile(r"(?=[A-Z]*\d)[A-Z0-9]{8,}")
_CELL = re.compile(r"-\d+-[0-9a-f]+(?=>)")
# Numbers from compilers and containers: Foo$1, Foo$$Lambda$14/0x0800066840, <>c__DisplayClass3_0.
_COUNTED = re.compile(
    r"\$\$(?:Lambda|\w*(?:Enhancer|FastClass|Proxy)).*|\${1,3}\d+|(?<=Proxy)\d+|(?<=Accessor)\d+"
    r"|(?<=DisplayClass)\d+(?:_\d+)*|(?<=>[a-z]__)\d+(?:_\d+)*"
)
_VERSION = re.compile(r"(?<=\w)[-_@]v?\d+\.\d[\w.+-]*$")


def is_nowhere(frame: Named) -> bool:
    """Return whether a frame has no location: a built-in of its runtime, or an empty frame."""
    if module_of(frame) or frame.package:
        return False
    path = frame.filename or frame.abs_path
    if not path:
        return not frame.function
    return path in _NO_FILES or path.startswith("native ")


def place(frame: Named) -> str:
    """Return the module of a frame, else its file, else its binary, else ``?``."""
    if module := module_of(frame):
        return stable_module(module)
    return stable_path(path_of(frame) or "?")


def module_of(frame: Named) -> str | None:
    """Return the module of a frame as the client sent it, ``None`` if it names no location."""
    return None if (frame.module or "") in _NO_MODULES else (frame.module or "")[:MAX_PATH]


def path_of(frame: Named) -> str | None:
    """Return the file of a frame, else its binary, as the client sent it."""
    path = frame.filename if frame.filename not in _NO_FILES else frame.abs_path
    return (path or frame.package or "")[:MAX_PATH] or None


@lru_cache(maxsize=4096)
def stable_module(module: str) -> str:
    """Return a module's name without generated hashes and numbers."""
    module = _COUNTED.sub("", module)
    if "/" in module or "\\" in module:
        return stable_path(module)
    folders, colon, name = module.rpartition(":")
    return f"{folders}{colon}{without_hash(name)}"


@lru_cache(maxsize=4096)
def stable_path(path: str) -> str:
    """Return the end of a path, which is the same for every release, user and host.

    :param path: a file's path or address, with slashes or backslashes.
    """
    path = path.removeprefix("blob:")
    *folders, name = _segments(path)
    folders = [_VERSION.sub("", folder) for folder in folders]
    if path.startswith(("http", "webpack")) and "." not in name and _VOLATILE.fullmatch(name):
        name = "#"  # A page whose address holds an id (an order), or a numbered module.
    if package := _below_package_root(folders):
        return "/".join([*package[:1], *package[1:][-1:], _stable_name(name)])
    if _ABSOLUTE.match(path):
        folders = _below_roots(folders)
    folders = [folder for folder in folders if not _VOLATILE.fullmatch(folder)]
    kept = folders[-2:] if folders and folders[-1].lower() in _GENERIC else folders[-1:]
    return "/".join([*kept, _stable_name(name)])


def _segments(path: str) -> list[str]:
    path = path.replace("\\", "/")
    if scheme := _SCHEME.match(path):
        path = path[scheme.end() :]
        if _NAMES_HOST.fullmatch(scheme["scheme"].lower()) and not scheme[0].endswith("///"):
            path = path.partition("/")[2] or path
    if scheme or SCRIPT_FILE.search(path.partition("?")[0]):
        path = path.partition("?")[0].partition("#")[0]
    path = _POSITION.sub("", path)
    segments = [
        part
        for part in path.split("/")
        if part not in ("", ".", "..", "~") and not (part[0] == "(" and part[-1] == ")")
    ]
    if segments and re.fullmatch(r"[a-zA-Z]:", segments[0]):
        segments = segments[1:]
    return segments or [path or "?"]


def _below_package_root(folders: list[str]) -> list[str]:
    for position in range(len(folders) - 1, -1, -1):
        if _PACKAGE_ROOT.match(folders[position]):
            return folders[position + 1 :]
    return []


def _below_roots(folders: list[str]) -> list[str]:
    position = max(
        (folders.index(root) + 1 for root in _CONTAINER_ROOTS if root in folders), default=0
    )
    while position < len(folders):
        name = folders[position].lower()
        if name in _OWNERS or (name == "users" and position == 0):
            position += 2
        elif (
            name in _ROOTS or _VOLATILE.fullmatch(name) or folders[: position + 1] == ["usr", "src"]
        ):
            position += 1
            if name in _APPLICATIONS:
                break
        else:
            break
    return [folder for folder in folders[position:] if folder.lower() not in _RELEASES]


def _stable_name(name: str) -> str:
    if name.startswith("<"):  # <ipython-input-12-3f9a1c2b>, <string>
        return _CELL.sub("", name)
    if not SCRIPT_FILE.search(name):
        return name
    if (found := _BASE64_HASH.search(name)) and _is_random(found["hash"]):
        name = name[: found.start()] + name[found.end() :]
    return without_hash(_UNDERSCORED_HASH.sub("", name))


def without_hash(name: str) -> str:
    """Return a name without the hashes and numbers of a bundler."""
    pieces = _SEPARATED.split(name)
    kept = ["#" if _is_hash(pieces[0]) else pieces[0]]
    for separator, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if not _is_hash(piece):
            kept += [separator, piece]
    return "".join(kept)


def _is_hash(piece: str) -> bool:
    if _HEXADECIMAL.fullmatch(piece):
        return len(piece) >= 8 or any(char.isdigit() for char in piece)
    return piece.isdigit() or bool(_BASE32.fullmatch(piece))


def _is_random(piece: str) -> bool:
    """Return whether eight characters are random, not a word of eight letters in camel case."""
    capitals = sum(char.isupper() for char in piece)
    return capitals > 2 or (capitals > 0 and any(char.isdigit() for char in piece))
