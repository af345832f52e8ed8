"""Rules for the numbers of cards, accounts and persons, by a checksum or by a name before them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.protocol.scrubbing.names import words_of
from app.protocol.scrubbing.spans import Span

# A long run of digits, or the groups of a card number, or of a US, a Brazilian or a British number.
# The expression is one tree that begins with digits: a third faster than one alternative for each.
DIGITS_HINT = re.compile(
    r"[0-9][0-9](?:[0-9](?:[0-9](?:[0-9]{2}(?:[A-D]|[0-9]{2}(?:[0-9]|-?[A-Z]))"
    r"|[ +-][0-9]{4}|%20[0-9]{4})|-[0-9]{2}-[0-9]{4}|\.[0-9]{3}\.)| [0-9]{2} [0-9]{2})"
)

_CARD = re.compile(
    r"(?<![\w.-])(?:[0-9]{13,19}|[0-9]{4}(?P<s>[ +-]|%20)[0-9]{4}(?P=s)[0-9]{4}(?P=s)[0-9]{1,7}"
    r"|[0-9]{4}(?P<t>[ +-]|%20)[0-9]{6}(?P=t)[0-9]{4,5})(?![\w-]|\.[0-9])",
    re.A,
)
# Issuer and length: Visa, Mastercard (both ranges), Amex, Diners, Discover, JCB, UnionPay, Maestro.
_ISSUER = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|22[2-9]|2[3-6][0-9]|27[01])[0-9]{13,14}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:6011|65[0-9]{2}|64[4-9][0-9])[0-9]{12}"
    r"|35[0-9]{14}|62[0-9]{14,17}|(?:5018|5020|5038|6304|6759|676[1-3])[0-9]{8,15}"
)
_CARD_WORDS = frozenset(
    "card cards cardnumber cardno creditcard ccnumber ccnum cc pan visa mastercard amex maestro"
    " diners unionpay jcb debit credit kreditkarte karte carte tarjeta cartao carta".split()
)
# One order number in ten has a valid checksum. So a card number without groups needs a name before
# it, or it must be one of the numbers that payment services publish for tests.
_CARD_CONTEXT = re.compile(
    r"card|visa|master|amex|maestro|diners|kredit|karte|credit|debit|tarjeta|carte|cart[ãa]o"
    r"|\bcc\b|\bpan\b|charg|payment",
    re.I,
)
_BEFORE = 48
_PUBLISHED = frozenset(
    "4111111111111111 4242424242424242 5555555555554444 378282246310005 371449635398431"
    " 6011111111111117 6011000990139424 3530111333300000 5105105105105100 4012888888881881"
    " 4000056655665556 5200828282828210 2223003122003222 30569309025904 38520000023237"
    " 3566002020360505 4222222222222 4000000000000002".split()
)

_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?"
    r"(?![A-Za-z0-9])"
)
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27,
    "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VG": 24, "XK": 20,
}  # fmt: skip

_SSN = re.compile(
    r"(?<![\w.-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-]|\.[0-9])", re.A
)
_CPF = re.compile(r"(?<![\w.-])[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?![\w-])", re.A)
_NIR = re.compile(
    r"(?<![\w.-])[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3}"
    r" ?[0-9]{3} ?[0-9]{2}(?![\w-])",
    re.A,
)
# Their checksums are too weak to tell these from other numbers, so they need a name before them.
_NAMED = re.compile(
    r"(?<![\w.-])(?:(?P<nino>[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])"
    r"|(?P<dni>[0-9XYZ][0-9]{7}-?[A-Z])|(?P<digits>[0-9]{9}|[0-9]{11}))(?![\w-])",
    re.A,
)
_PERSON_CONTEXT = re.compile(
    r"\b(?:nino|national insurance|ni (?:no|number)|dni|nie|nif|bsn|burgerservicenummer|sofinummer"
    r"|cpf|ssn|social security|sin|steuer\w{0,32}|idnr|tax id|taxpayer|tin|pesel|national id)\b",
    re.I,
)


def is_card(digits: str) -> bool:
    """Return whether 13 to 19 digits have the prefix of an issuer and a valid Luhn checksum."""
    if not _ISSUER.fullmatch(digits):
        return False
    odd = sum(map(int, digits[-1::-2]))
    return (odd + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def names_card(name: object) -> bool:
    """Return whether a field of this name may have a card number."""
    return isinstance(name, str) and not _CARD_WORDS.isdisjoint(words_of(name))


def cards(text: str) -> Iterator[Span]:
    """Yield card numbers: in groups, after the name of a card, or published for tests."""
    for start, end in named_cards(text):
        is_bare = text[start:end].isdigit()
        if is_bare and text[start:end] not in _PUBLISHED:
            if not _CARD_CONTEXT.search(text, max(start - _BEFORE, 0), start):
                continue
        yield start, end


def named_cards(text: str) -> Iterator[Span]:
    """Yield card numbers in the value of a field with the name of a card."""
    for match in _CARD.finditer(text):
        if is_card(re.sub(r"%20|[ +-]", "", match[0])):
            yield match.span()


def ibans(text: str) -> Iterator[Span]:
    """Yield international bank account numbers (IBANs) with a valid length and checksum."""
    for match in _IBAN.finditer(text):
        start = match.start()
        length, compact = _IBAN_LENGTHS.get(match[0][:2], 0), ""
        for end in range(start, match.end()):
            compact += text[end] if text[end].isalnum() else ""
            if len(compact) == length:
                break
        if length and len(compact) == length and _is_iban(compact):
            yield start, end + 1


def _is_iban(compact: str) -> bool:
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def national_numbers(text: str) -> Iterator[Span]:
    """Yield national identification numbers of persons."""
    spans = [match.span() for match in _SSN.finditer(text)]
    spans += [m.span() for m in _CPF.finditer(text) if _is_cpf(re.sub(r"\D", "", m[0]))]
    spans += [match.span() for match in _NIR.finditer(text) if _is_nir(match[0])]
    for match in _NAMED.finditer(text):
        if _PERSON_CONTEXT.search(text, max(match.start() - _BEFORE, 0), match.start()):
            spans.append(match.span())
    end = 0
    for span in sorted(spans):
        if span[0] >= end:
            yield span
            end = span[1]


def _is_cpf(digits: str) -> bool:
    return len(set(digits)) > 1 and all(
        sum(int(digit) * (length + 1 - at) for at, digit in enumerate(digits[:length]))
        * 10
        % 11
        % 10
        == int(digits[length])
        for length in (9, 10)
    )


def _is_nir(text: str) -> bool:
    digits = text.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return digits.isdigit() and 97 - int(digits[:-2]) % 97 == int(digits[-2:])
