"""Values that are not secret although they have a secret name."""

from __future__ import annotations

import re

from app.protocol.scrubbing.names import COUNTABLE, LOOSE, NUMBER, words_of

# An empty value, a boolean or a mask in place of a secret.
_EMPTY = re.compile(
    r"""(?:b(?=['"]))?['"]*(?:none|null|nil|undefined|true|false|redacted
    |masked|\[?(?:filtered|redacted)\]?|[*.•\-_]{1,64}|x{3,64})?['"]*""",
    re.I | re.X,
)
# In a text, also a placeholder of a formatter, of SQL or of a shell, and the words that follow
# "token:" in a sentence.
_PLACEHOLDER = re.compile(
    r"""%(?:\(\w{1,64}\))?[sdr] | \$[0-9]{1,3} | \$[A-Z_]{2,64} | [:@][a-z_]{1,64} | \?
    | [$%\#]?\{{1,2}[\w.!:()\[\] ]{0,64}\}{1,2} | \$?\{[\w.]{1,64}\[["']\w{1,64}["']\](?:![rs])?\}
    | <[a-z_]{1,32}>
    | (?:yes|no|on|off|ok|is|was|not|must|has|had|too|in|for|or|and|the|a|an|of|to|at|this|required
    |missing|expired|invalid|unknown|incorrect|wrong|empty|failed|denied|mismatch|needed|unset
    |revoked|malformed|cannot|could|should|may|can|will|does|did|only|minimum|maximum|expected|got
    |found|received|accepted|rejected|be|by|with|from|str|int|bytes|bool)[.!]?""",
    re.X,
)
# A plain word about a session or a login method is not a secret, as in auth=ldap.
_PLAIN = re.compile(
    r"(?:[A-Z]?[a-z]{1,20}|[A-Z]{1,12})(?:[ _.-][A-Za-z]{1,20}){0,3}"
    r"|(?=[\x00-\x7f]{0,99}+[^\x00-\x7f])[^\W\d_]{1,20}(?:[ _.-][^\W\d_]{1,20}){0,3}"
    r"|(?:oauth|saml|ntlmv?|x|tls)[0-9.]{1,4}"
    r"|[12]fa|[hr]s256|[0-9]{1,3}"
)
# In India, a postal code is called a PIN code.
_POSTAL_CODE = re.compile(r"[1-9][0-9]{2} ?[0-9]{3}")
# Masks and placeholders are not longer than this.
_MAX_HARMLESS = 200


def is_harmless(name: str, value: str, verdict: int, *, in_text: bool = False) -> bool:
    """Return whether a value is not a secret although its name is secret.

    :param value: the value; it may be a repr in quotes.
    :param in_text: whether the pair is in a text, where placeholders and sentences also occur.
    """
    if len(value) > _MAX_HARMLESS:
        return False
    bare = value.strip("'\" ")
    if _EMPTY.fullmatch(value.strip()) or (in_text and _PLACEHOLDER.fullmatch(bare)):
        return True
    if verdict & COUNTABLE and bare.isdigit():
        return True
    if verdict & LOOSE and _PLAIN.fullmatch(bare):
        return True
    if verdict & NUMBER and _PLAIN.fullmatch(bare) and not any(map(str.isdigit, bare)):
        return True
    if _POSTAL_CODE.fullmatch(bare) and words_of(name)[-2:] in (("pincode",), ("pin", "code")):
        return True
    # PWD is the working directory in every environment, and a password in ODBC strings.
    return name.upper() in ("PWD", "OLDPWD") and (bare[:1] == "/" or bare[1:3] == ":\\")
