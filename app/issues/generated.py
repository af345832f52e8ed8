"""Remove what compilers, generators and bundlers put into names, for version 2 of grouping.

com.acme.Customer$HibernateProxy$SzXDkaYB       ->  com.acme.Customer
__31-[ViewController viewDidLoad]_block_invoke.45  ->  -[ViewController viewDidLoad]_block_invoke
assets/index-BK3s9f-a.js                        ->  assets/index.js

The rules of version 1 (``frames.py``, ``code_paths.py``) are then applied to the result.
"""

from __future__ import annotations

import re
from functools import lru_cache

from app.issues.chunk_hashes import without_chunk_hash
from app.issues.code_paths import without_hash
from app.issues.names_in_browsers import innermost
from app.issues.names_of_cpp import without_arguments

# Each alternative starts with its own letters or signs, and no repeat is inside another repeat.
_IN_MODULES = re.compile(
    r"\$(?:HibernateProxy|HibernateAccessOptimizer|HibernateInstantiator|ByteBuddy|MockitoMock"
    r"|auxiliary|KProxy)\$?[\w$]{0,200}"
    r"|_\$\$_\w{0,200}"  # Javassist: _$$_jvst3f9_0, _$$_javassist_12; Weld's client proxies
    r"|\$Proxy\$_\$\$_\w{0,200}"
    r"|\$\$(?:\w{0,100}CGLIB|_?javassist\w{0,20}|EnhancerBy|KeyFactoryBy)[\w$]{0,200}"
    r"|\$\$(?:External|Internal)Synthetic\w{0,100}[\w$]{0,200}"  # D8
    r"|\${3}view\d{1,9}"  # EJB
    r"|__\d{1,9}(?=$|[$.#/])|--\d{1,9}(?=$|[$./])|(?<=[$/.]eval)\d{1,9}"  # Clojure
    r"|(?<=proxy)\d{1,9}(?=\.\$?Proxy)"  # jdk.proxy2.$Proxy33
    r"|\+<>c(?:__DisplayClass\w{0,40})?(?=$|[+.])"  # C#: the class for the lambdas of a class
    r"|(?<=c__Iterator)\d{1,9}|(?<=c__AnonStorey)\d{1,9}|(?<=>d)__\d{1,9}|`\d{1,3}"
    r"|(?<=CodegenStage)\d{1,9}|(?<=\bScript)\d{3,20}|(?<=LambdaForm\$)\w{1,9}[/.]\w{1,40}"
    r"|(?<=AjcClosure)\d{1,9}|(?<=Proxies\.)(?P<entity>\w{1,100})_\w{1,64}$"
    r"|(?<![0-9a-fA-F])(?=[a-fA-F]{0,64}\d)[0-9a-fA-F]{16,128}(?![0-9a-fA-F])"
    # PHP: an anonymous class, named by its file and an address.
    r"|(?<=@anonymous).{1,300}?(?=(?:::|->)\w{1,100}$|$)"
    r"|(?<![0-9a-zA-Z])\??0x[0-9a-fA-F]{1,32}"
)
# Android's first lambdas were in separate classes: com.acme.-$$Lambda$Main$TsuB3_x.
_LAMBDA_CLASS = re.compile(r"-\${1,2}Lambda\$(?P<of>[A-Za-z_]\w{0,200})\$[\w$-]{1,200}")

_IN_FUNCTIONS = re.compile(
    r"^_{1,3}\d{1,5}(?=[-+]\[)"  # Objective-C: the length of the name of the block's function
    r"|(?<=_block_invoke)(?:[_.]\d{1,9}){1,9}"
    r"|(?<=_helper_block_)\S{1,40}"
    r"|\.(?:isra|part|constprop|cold|llvm|lto_priv|clone|localalias|str|resume|destroy|cleanup"
    r"|actor|warm|hot|split|text|unlikely|startup|exit)(?:\.\d{1,20}){0,9}(?=$|[.( ])"
    r"|^_INTERNAL_?[0-9a-f]{1,32}_{1,2}\w{0,200}::|_INTERNAL[0-9a-f]{1,32}(?=::|_)"  # nvcc
    r"|(?<=^_GLOBAL__N__)[0-9a-f]{6,32}"
    r"|(?<=[\w)])@{1,2}(?:\d{1,20}(?:-\d{1,9})?|[A-Z]{2,20}_[\d.]{1,20}|plt)$"  # F#, Dart, glibc
    r"|(?<=\w)@\d{3,20}"
    r"|::h[0-9a-f]{16}(?![0-9a-zA-Z])|17h[0-9a-f]{16}(?=E)"  # Rust
    r"|(?<=[\w>])\[[0-9a-f]{6,20}\]|(?<=Cs)[0-9a-zA-Z]{6,14}_(?=\d)"
    r"|(?<=<lambda_)[0-9a-f]{1,40}(?=>)|(?<=\$_)\d{1,9}|(?<='lambda)\d{0,9}(?=')"  # C++
    r"|(?<=lambda_)\d{1,9}(?=_?::)"
    r"|(?<=[a-z])_{2,3}-?\d{3,20}_\d{1,20}$|(?<=__tilt_)\d{1,20}"  # ERB, Tilt
    r"|(?<=[|])\d{1,5}_\d{1,5}|(?<=>[a-z])__\d{1,5}(?:_\d{1,5}){0,2}"  # C#: <Main>g__Local|0_0
    r"|(?<=lambda_method)\d{1,9}|(?<=_Lambda\$__)[\d-]{1,20}|(?<=VB\$StateMachine_)\d{1,9}_"
    r"|(?<=aroundBody)\d{1,9}|(?<=liftedTree)\d{1,9}|\$adapted$"  # AspectJ, Scala
    r"|(?<=\$)\d{1,9}\$[\w]{1,100}(?:-[\w]{1,100}){1,20}$"  # D8: lambda$pay$0$com-acme-Cart
    r"|(?<=_m)[0-9A-F]{8,64}(?=$|_)"  # Unity's IL2CPP
    r"|-range\d{1,5}|\.(?:gowrap|deferwrap)\d{1,5}|(?<=\binit)\.\d{1,5}(?=$|\.)|\[go\.shape\..{0,200}\]"
    r"|^\(\d{1,5}\) (?:await|suspend) resume partial function for |^(?:specialized |merged ){1,3}"
    r"|^@(?:non)?objc |^partial apply for "
    r"|(?<=__ANON__)\[[^\]]{0,300}\]|(?<=\(eval)[ :]?\d{1,9}|(?<=<cell line:) ?\d{1,9}"
    r"|__vite_ssr_import_\d{1,5}__\.|(?<=IMPORTED_MODULE_)_?\d{1,5}_{0,3}"
    r"|(?<=\b_loop)_?\d{1,5}|(?<=\b_ref)\d{1,5}|^\?(?:anon_\d{1,5}_)?(?=\w|$)"  # Babel, Hermes
    r"|(?<=wasm-function)\[\d{1,9}\]|(?<=wasm-function) \d{1,9}"
    r"|^(?:[\w ]{1,40}\*){1,5}(?=[\w$])"  # Firefox: promise callback*pay
    r"|(?<=__anon_)\d{1,9}|(?<=caml)(?P<ocaml>\w{1,200})_\d{1,9}$"
)
# clang: charge.45. In JavaScript such a name is a numbered module.
_CLONE = re.compile(r"(?<=[\w\])])(?:\.\d{1,20}){1,9}$")
_LAST_NUMBER = re.compile(r"_\d{1,9}$")
# PHP 8.4 names a closure by its location: {closure:{closure:App\run():12}:14}.
_PHP_CLOSURE = re.compile(r"\{closure:.{0,500}\}")
# No symbol was found: a debugger writes signs or the address instead.
_NO_SYMBOL = re.compile(r"\?{2,3}|<redacted>|<unknown>|0x[0-9a-fA-F]{1,32}|wasm-function")

# Functions and classes without their own name; others in the same place look the same.
_NAMELESS_FUNCTION = re.compile(
    r"^[<{].{0,300}[>}]$"
    r"|^lambda(?:\$|$)|\$lambda(?:\W|$)|(?:^|\$)anonfun(?:\$|$)"  # Java, Kotlin, Scala
    r"|(?:lambda|\$_)[^:]{0,200}::operator\(\)"  # C++
    r"|>b(?:__)?$|<lambda>|_Lambda\$__$"  # C#
    r"|\.func(?:$|\.)"  # Go
    r"|closure(?:_env)?\}{1,2}$"  # PHP, Rust
    r"|^(?:implicit )?closure [^\n]{0,200}?\bin "  # Swift
    r"|<anonymous closure>$|<fn>$|^anonymous fn|-fun-?$|-fun-/"  # Dart, Elixir, Erlang
)
_NAMELESS_CLASS = re.compile(
    r"\$\d{1,9}$|\$\$?Lambda|SyntheticLambda|\$(?:fn|reify)__\d|\$eval\d|\\?@anonymous"
)
# Calls that compilers insert between two written calls: Swift's thunks, .NET's expressions.
_THUNK = re.compile(
    r"(?:partial apply for )?(?:reabstraction )?thunk (?:for|helper) |protocol witness for "
    r"|@callee_guaranteed$|lambda_method\d{0,9}$"
)
_WASM_ADDRESS = re.compile(r"^wasm://wasm/(?P<name>.{0,300}?)[-.]?[0-9a-f]{8,64}(?=$|:)")
_NOTEBOOK = re.compile(r"(?<=[/\\]ipykernel_)\d{1,9}[/\\]\d{1,20}(?=\.py$)")
_IN_ANGLES = re.compile(
    r"(?:[ -]?(?:at )?0x[0-9a-fA-F]{1,32}|[ -]\d{1,9}(?:-[0-9a-f]{1,40})?)(?=>)"
)
_EVALUATED = re.compile(r"\(\d{1,9}\) : (?=eval\(\)'d code|runtime-created function)")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,32}")


def ungenerated_function(name: str, is_script: bool) -> str:
    """Return a function's name without generated parts, empty for a missing symbol.

    :param name: of bounded length.
    :param is_script: whether it is JavaScript.
    """
    name = innermost(name.strip()) if is_script else _CLONE.sub("", name.strip())
    if _NO_SYMBOL.fullmatch(name) or name.endswith(".<anonymous>"):
        return ""
    name = name if is_script else without_arguments(name)
    name = _PHP_CLOSURE.sub("{closure}", _LAMBDA_CLASS.sub(r"\g<of>", name))
    if name.startswith("caml"):
        return _LAST_NUMBER.sub("", name)
    cleaned = _IN_MODULES.sub(_entity, _IN_FUNCTIONS.sub("", name))
    return cleaned.rstrip("$") if cleaned != name else name


def ungenerated_module(module: str, is_script: bool) -> str:
    """Return the name of a module or class without generated parts.

    :param is_script: whether it is JavaScript, where modules have the names of files.
    """
    module = _LAMBDA_CLASS.sub(r"\g<of>", module)
    if is_script:
        head, sign, last = module.rpartition("/") if "/" in module else module.rpartition(":")
        return f"{head}{sign}{without_chunk_hash(last, is_module=True)}"
    return _IN_MODULES.sub(_entity, module) or module


def ungenerated_path(path: str) -> str:
    """Return a path or address without the hash of a bundler in its last part."""
    if path.startswith("wasm://"):
        return _WASM_ADDRESS.sub(lambda match: f"wasm/{match['name'] or '#'}", path)
    path = _EVALUATED.sub("", _NOTEBOOK.sub("#", path))
    cut = max(path.rfind("/", 0, _end(path)), path.rfind("\\", 0, _end(path))) + 1
    folder, name, query = path[:cut], path[cut : _end(path)], path[_end(path) :]
    if name.startswith("<"):
        return folder + _IN_ANGLES.sub("", name) + query
    name = without_chunk_hash(_IN_MODULES.sub(_entity, name) if "$" in name else name)
    return folder + (without_hash(name) if name.endswith(".wasm") else name) + query


def ungenerated_type(type: str) -> str:
    """Return an exception's type without the address or number of an anonymous class."""
    if "0x" in type:
        type = _ADDRESS.sub("<hex>", type)
    return _IN_MODULES.sub(_entity, type) if "$" in type or "@anonymous" in type else type


@lru_cache(maxsize=4096)
def is_nameless(function: str, module: str | None) -> bool:
    """Return whether other functions in the same place look the same, as lambdas and closures do.

    :param function: as :func:`ungenerated_function` returned it.
    :param module: as the client sent it, of bounded length.
    """
    return not function or bool(
        _NAMELESS_FUNCTION.search(function) or (module and _NAMELESS_CLASS.search(module))
    )


@lru_cache(maxsize=4096)
def is_thunk(function: str) -> bool:
    """Return whether a compiler made the function, between two calls that a person wrote."""
    return bool(_THUNK.match(function))


def _end(path: str) -> int:
    position = path.find("?")
    return len(path) if position < 0 else position


def _entity(match: re.Match[str]) -> str:
    return match["entity"] or ""
