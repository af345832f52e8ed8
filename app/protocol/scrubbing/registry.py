"""All rules, in the order in which they are applied.

A rule is one entry here: its name in the scrubbing report, the function that finds secrets in a
string, and the texts that every such string contains. The search for strings that may contain a
secret (:mod:`app.protocol.scrubbing.hints`) is built from these texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from app.protocol.scrubbing import commands, links, numbers, pairs, prose, values
from app.protocol.scrubbing.spans import Span
from app.protocol.scrubbing.tokens import TOKENS

# Returns the verdict on a name, see names.verdict_of.
Judge = Callable[[str], int]


class Rule(NamedTuple):
    """A kind of secret. A string is checked if it has one of the rule's anchors or other hints.

    :param name: the name in the scrubbing report.
    :param find: yields the secrets in a string.
    :param find_by_name: the same for a rule that depends on names; its last argument says whether
        the string is a source line.
    :param anchors: fixed texts that are hints.
    :param hints: expressions that are hints, for a rule without fixed texts.
    :param before: a name before a separator or a quote that is a hint.
    :param is_named: whether a secret name before a separator or a quote is a hint.
    :param in_code: whether source lines are checked, too.
    """

    name: str
    find: Callable[[str], Iterator[Span]] | None = None
    find_by_name: Callable[[str, Judge, bool], Iterator[Span]] | None = None
    anchors: tuple[str, ...] = ()
    hints: tuple[re.Pattern[str], ...] = ()
    before: re.Pattern[str] | None = None
    is_named: bool = False
    in_code: bool = True


RULES = (
    # Pairs come first: they remove a whole value. A later rule would remove only a part of it.
    Rule("pair", find_by_name=pairs.pairs, is_named=True),
    Rule("argument", find_by_name=pairs.arguments, anchors=("--",)),
    Rule(
        "sql",
        find_by_name=commands.inserted_values,
        anchors=("INSERT INTO", "insert into"),
        in_code=False,
    ),
    Rule(
        "prose",
        find_by_name=prose.named_values,
        anchors=prose.ANCHORS,
        before=prose.SQL,
        is_named=True,
        in_code=False,
    ),
    Rule("command", find=commands.short_options, anchors=commands.ANCHORS, before=commands.USER),
    Rule("private_key", find=values.private_keys, anchors=("-----BEGIN", "PuTTY-User-Key")),
    Rule("url", find=values.userinfo, anchors=("@",)),
    Rule("authorization", find=values.credentials, hints=(values.CREDENTIAL_HINT,)),
    Rule("jwt", find=values.jwts, anchors=("eyJ",)),
    Rule("encoded", find=values.encoded, anchors=("eyJ",), before=values.BASE64_END, in_code=False),
    *(Rule("api_key", find=token.find, anchors=(token.anchor,)) for token in TOKENS),
    Rule(
        "api_key",
        find=values.webhooks,
        anchors=("hooks.slack.com/", ".com/webhook", "/webhooks/"),
    ),
    Rule("api_key", find=values.softlayer_keys, anchors=("softlayer.com/soap/",)),
    Rule("api_key", find=values.discord_tokens, hints=(values.DISCORD_HINT,), in_code=False),
    Rule("api_key", find=values.mailchimp_keys, anchors=("-us",)),
    Rule("api_key", find=values.telegram_tokens, anchors=(":AA",), in_code=False),
    Rule(
        "link", find=links.link_secrets, hints=(links.PATH_HINT,), before=links.CODES, in_code=False
    ),
    Rule("card", find=numbers.cards, hints=(numbers.DIGITS_HINT,)),
    Rule("iban", find=numbers.ibans, hints=(numbers.DIGITS_HINT,)),
    Rule("national_number", find=numbers.national_numbers, hints=(numbers.DIGITS_HINT,)),
)
