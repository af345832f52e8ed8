"""Remove the hashes that bundlers put into file names, and keep the words.

index-BK3s9f-a.js  ->  index.js       checkout-DataGrid.js  stays

Vite and Rollup use eight characters of base64url, esbuild of base32. Some of these hashes look like
words in camel case. Therefore a piece that reads as English is kept, and every other piece is
removed. Both mistakes have a cost: a removed word makes two files of a folder look the same, and a
kept hash splits every issue at every release.
"""

from __future__ import annotations

import re

_SCRIPT = re.compile(
    r"(?P<stem>.{1,300}?)(?P<end>(?:\.(?:min|bundle|chunk|legacy|module|prod|esm)){0,3}"
    r"\.(?:[cm]?[jt]sx?|css|wasm|vue|svelte)(?::\d{1,9}){0,2})"
)
_SEPARATORS = "-._~"
_LAST_PIECE = re.compile(r"[-._~]([0-9A-Za-z]{5,32})$")
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_TRIPLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{3}")
_ONSET = re.compile(r"[bcdfghjklmnpqrstvwxz]{2}")
_VOWEL = re.compile(r"[aeiouy]")
_SHORT_WORDS = frozenset(
    "js ts ui db io id of on in to is my by up no go be we do at an or as it if api app".split()
)
# The pairs of consonants that begin English words, and the triples that occur in them.
_ONSETS = frozenset(
    "bl br ch cl cr dr dw fl fr gh gl gr kl kn kr ph pl pr ps rh sc sh sk sl sm sn sp sq st sw th "
    "tr ts tw wh wr".split()
)
_TRIPLES = frozenset(
    (
        "bbl chn chr ckb ckd ckf ckg ckl ckm ckn ckp ckr cks ckt ckw ctr cts ddl ffl fts ggl ghb "
        "ghl ght gth ldr lds llb lls lts mbl mbr mpl mpr mps mpt nch nct ndb ndc ndl ndr nds nfl "
        "nfr ngl ngr ngs ngt nkl nks nsf nsh nsl nsp nst nth ntl ntr nts ppl pps pst rch rcl rdl "
        "rds rks rld rms rmt rns rpr rrh rsh rsp rst rth rtl rtn rts scr shb shl shr spl spr ssw "
        "stl str sts tch thd thl thr tst ttl tts wnl wns xch xpl xpr xtb xtr ymb"
    ).split()
)


def without_chunk_hash(name: str, *, is_module: bool = False) -> str:
    """Return the name of a script, or of its module, without the hash at its end.

    The result is ``*`` plus the extension if the whole name was a hash.

    :param is_module: whether the name can be without the extension of a script.
    """
    found = _SCRIPT.fullmatch(name[:400])
    stem, end = (found["stem"], found["end"]) if found else (name, "")
    if not found and not (is_module and len(name) < 300):
        return name
    return _without(stem) + end


def _without(stem: str) -> str:
    if len(stem) == 8 and not stem.islower() and is_hash(stem):
        return "*"
    if len(stem) > 9 and stem[-9] in _SEPARATORS and is_hash(stem[-8:]):
        return stem[:-9].rstrip(_SEPARATORS) or "*"
    if (found := _LAST_PIECE.search(stem)) and is_hash(found[1]):
        return stem[: found.start()].rstrip(_SEPARATORS) or "*"
    return stem


def is_hash(piece: str) -> bool:
    """Return whether a piece of a name is random, not words in lower case or camel case."""
    letters = piece.replace("-", "").replace("_", "")
    digits = re.findall(r"\d+", letters)
    if letters.islower() and not digits:
        return False
    is_mixed = bool(digits) and not letters.isupper() and not letters.islower()
    if len(piece) != 8 and not is_mixed:
        return False
    return len(digits) > 1 or not _reads_as_words(piece)


def _reads_as_words(piece: str) -> bool:
    words = [word for word in _PIECES.findall(piece) if not word.isdigit()]
    acronyms = [word for word in words if word.isupper()]
    if len(acronyms) > 1 or not words or words == acronyms:
        return False
    return all(2 <= len(word) <= 4 for word in acronyms) and all(
        _is_word(word.lower()) for word in words if not word.isupper()
    )


def _is_word(word: str) -> bool:
    if len(word) < 3:
        return word in _SHORT_WORDS
    onset = _ONSET.match(word)
    return (
        bool(_VOWEL.search(word))
        and (not onset or onset[0] in _ONSETS)
        and all(word[n : n + 3] in _TRIPLES for n in _triples(word))
    )


def _triples(word: str) -> list[int]:
    return [n for n in range(len(word) - 2) if _TRIPLE.match(word, n)]
