# ruff: noqa: E501
"""Kinds of secrets that are found, by drawn examples, and harmless values that stay."""

from __future__ import annotations

import json
import random
import re
import string
from collections import Counter
from typing import Any

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

from app.protocol.scrub import FILTERED, Scrubber
from tests.protocol.corpus import EVENTS, envelope_of
from tests.protocol.planted import planted

SEED = 20261127
# What its own detector calls a secret: prefix, characters, how many of them.
_ALNUM, _HEX, _UPPER = (
    string.ascii_letters + string.digits,
    "0123456789abcdef",
    string.ascii_uppercase,
)
SHAPES = [
    ("AWS Access Key", "AK" + "IA", _UPPER, 16), ("AWS Access Key", "AS" + "IA", _UPPER, 16),
    ("AWS Access Key", "AB" + "IA", _UPPER, 16), ("AWS Access Key", "AC" + "CA", _UPPER, 16),
    ("Artifactory Credentials", "AK" + "C", _ALNUM, 40), ("GitHub Token", "gh" + "p_", _ALNUM, 36),
    ("GitHub Token", "gh" + "s_", _ALNUM, 36), ("GitLab Token", "gl" + "pat-", _ALNUM, 20),
    ("GitLab Token", "gl" + "rt-", _ALNUM, 24), ("GitLab Token", "GR13" + "48941", _ALNUM, 20),
    ("Slack Token", "xo" + "xb-1234567890-", _HEX, 24), ("Stripe Access Key", "sk" + "_live_", _ALNUM, 24),
    ("Stripe Access Key", "rk" + "_live_", _ALNUM, 24), ("Twilio API Key", "S" + "K", _HEX, 32),
    ("Twilio API Key", "A" + "C", _HEX, 32), ("Square OAuth Secret", "sq0" + "csp-", _ALNUM, 43),
    ("PyPI Token", "py" + "pi-AgEIcHlwaS5vcmc", _ALNUM, 80), ("Azure Storage Account access key", "AccountKey=", _ALNUM, 88),
    ("Telegram Bot Token", "1234567890:" + "AA", _ALNUM, 33), ("Basic Auth Credentials", "https://bob:", _ALNUM, 12),
]  # fmt: skip

# The same with the text around the secret.
_LOWER = string.ascii_lowercase + string.digits
_OPENAI_END = "T3Blbk" + "FJ" + "x7Gq" * 5
TEXTS = [
    *(("GitHub Token", f"gh{kind}_{{}}", _ALNUM, 36) for kind in "our"),
    *(("GitLab Token", f"gl{kind}-{{}}", _ALNUM, length) for kind, length in (
        ("dt", 20), ("ft", 24), ("soat", 20), ("cbt", 24), ("imt", 25), ("ptt", 40), ("agent", 60), ("oas", 64))),
    *(("AWS Access Key", text, _ALNUM, 40) for text in (
        "aws_secret_access_key = '{}'", 'aws secret token: "{}"', "aws_key = '{}'")),
    ("AWS Access Key", "A3" + "T{}", _UPPER, 17),
    *(("Cloudant Credentials", text, letters, length) for letters, length in ((_HEX, 64), (string.ascii_lowercase, 24))
      for text in ("cloudant_key = '{}'", "cloudant_password: {}", "cl_token={}", "cloudantpwd => '{}'", "clou-pass={}",
                   "https://shop:{}@shop.cloudant.com/")),
    *(("IBM COS HMAC Credentials", text, _HEX, 48) for text in (
        "cos_hmac_secret_access_key = '{}'", "ibm-cos_secret_key: {}", '"secret_access_key": "{}"', "cossecretkey={}")),
    *(("IBM Cloud IAM Key", text, _ALNUM, 44) for text in (
        "ibm_cloud_iam_key = '{}'", "ibm_cloud_api_key: {}", "iam_password={}", '"ibm-token": "{}"', "cloud_key = '{}'",
        "apikey: {}", "ibm-cloud-pwd={}", "iam_key={}")),
    ("Mailchimp Access Key", "{}-us12", _LOWER, 32),
    ("NPM tokens", "//npm.example/:_authToken=npm" + "_{}", _ALNUM, 36),
    ("OpenAI Token", "s" + "k-{}" + _OPENAI_END, _ALNUM, 20), ("OpenAI Token", "s" + "k-proj-{}" + _OPENAI_END, _ALNUM, 40),
    ("SendGrid API Key", "S" + "G.{}." + "a1B2c3" * 7 + "d", _ALNUM, 22),
    ("Discord Bot Token", "N{}.X1y2Z3." + "a1B2c3" * 4 + "d4e", _ALNUM, 23),
    ("Slack Token", "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/{}", _ALNUM, 24),
    *(("Slack Token", f"xo{kind}-1234567890-1234-{{}}", _LOWER, 24) for kind in ("xa", "xp", "xo", "xr", "xs")),
    *(("SoftLayer Credentials", text, _LOWER, 64) for text in (
        "softlayer_key = '{}'", "sl_api_key: {}", "softlayer_password={}", 'sl_token = "{}"',
        "http://api.softlayer.com/soap/v3/{}", "https://api.softlayer.com/soap/v3.1/{}")),
    ("PyPI Token", "py" + "pi-AgENdGVzdC5weXBpLm9yZw{}", _ALNUM, 80),
    ("Twilio API Key", "S" + "K{}", _LOWER, 32),
    ("JSON Web Token", "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{}", _ALNUM, 43),
    *(("Private Key", f"-----BEGIN {name}-----\n{{}}\n-----END {name}-----", _ALNUM, 64) for name in (
        kind + " PRIVATE" + " KEY" for kind in ("DSA", "EC", "OPENSSH", "RSA", "SSH2 ENCRYPTED"))),
    ("Private Key", "PuTTY-User-" + "Key-File-2: ssh-rsa\n{}", _ALNUM, 64),
]  # fmt: skip
# What its detectors call a secret and the scrubber leaves, each with the reason.
LEFT = {
    "Base64 High Entropy String": "any long text looks drawn: ids, hashes, files in base64",
    "Hex High Entropy String": "ids of traces, hashes of commits and builds are no secrets",
    "Public IP (ipv4)": "an address is no credential; `send_default_pii` decides about it",
    "Secret Keyword": "names of source code; the scrubber has its own list of names",
}
# And forms of those it covers: `key = X` without a word before it (any dictionary has it), `AP1...`
# of Artifactory (two letters that begin many words), Telegram's without the AA that all real ones have.

PLANTED = planted(SEED)
HARMLESS: list[Any] = [
    {"tags": {"auth": "ldap", "session": "morning"}},
    {"tags": {"auth": "oauth2"}},
    {"extra": {"order_number": "4539148803436467"}},
    {"extra": {"order_id": 4539148803436467}},
    {"message": "order 4539148803436467 was shipped"},
    {"contexts": {"device": {"memory_size": 4539148803436467}}},
    {"extra": {"pincode": "560034", "postal_code": "53113"}},
    {"request": {"query_string": "state=CA&code=DE&t=12"}},
    {"message": "token expired, password is too short, key not found"},
    {"message": "docker run -u 1000:1000 -p 8080:80 shop"},
    {"message": "transfer to DE00370400440532013000 failed"},
    {"message": "see /reset/password and /verify/email"},
    *(
        {"message": f"SyntaxError: {text}"}
        for text in (
            "unexpected token: punc (;)", "Unexpected token: name (foo)", "invalid token: EOF",
            "missing token: comma expected", "Expected token: '}' at 3", "illegal token: <",
            "unrecognized token: \"@\"", "bad token: identifier", "pin: 4 digits required",
            "password: 8 or more characters", "password: at least 8", "otp: 6-digit code expected",
            "token: should be set", "password: minimum 8",
        )
    ),
    *(
        {"extra": {name: value}}
        for name, value in (
            ("cvv_result", "M"), ("cvc_check", "pass-1"), ("cvv_result_code", "M2"),
            ("api_key_id", "key-17"), ("token_id", "tok-17"), ("signing_key_id", "2026-11a"),
            ("password_state", "must change 1"), ("pin", "centre"), ("card_pin", "unset"),
            ("cvv", "match"), ("секретарь", "k7"), ("включено", "k7"), ("ключевое_слово", "k7"),
            ("jeton", "bleu"), ("jeton", "périmé"), ("geheim", "ja"), ("secreto", "no"),
            ("segredo", "sim"), ("ключ", "имя поля"), ("密钥长度", "2048 bit"), ("令牌类型", "x1"),
            ("Primärschlüssel", "k7"), ("clé_primaire", "k7"), ("chave_estrangeira", "k7"),
        )
    ),
    {"message": "le jeton est invalide, jeton: invalide, секрет: успех, le mot clé: x1"},
]  # fmt: skip
SECRET = "k7xR2mQ9zPw4"
# Password, secret, token and key in the languages that most people speak.
NAMES = (
    "كلمة المرور|كلمة السر|كلمة_المرور|kata sandi|kata_sandi|kata laluan|lykilorð|лозинка|секрет|токен|ключ"
    "|令牌|密钥|密鑰|segredo|secreto|jeton|geheim|clé_api|chave_api|mật khẩu|mat_khau|رمز عبور|گذرواژه|پاس ورڈ"
    "|पासवर्ड|รหัสผ่าน|পাসওয়ার্ড|கடவுச்சொல்|పాస్‌వర్డ్|API-Schlüssel|Ключ API|api_anahtarı|gizli_anahtar|clave_secreta"
    "|chave secreta|chiave_api|секретный_ключ|비밀|비밀번호|API키|トークン|秘密鍵|пароль_токен|jeton_acces|kunci_api"
    "|nenosiri|ključ_api|сломаный_токен|tajemství|segreto|Passwort|hasło|şifre|wachtwoord"
).split("|")


def test_at_least_177_secrets_are_planted_and_no_more_than_7_of_177_survive() -> None:
    survived = [
        kind
        for kind, payload, secret in PLANTED
        if secret in json.dumps(Scrubber().scrub(payload)[0], ensure_ascii=False)
    ]
    assert len(PLANTED) >= 177
    assert len(survived) * 177 <= 7 * len(PLANTED), survived


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "form", ["{}: {}", "login with {}: {} from web", "{}={}", '{{"{}": "{}"}}']
)
def test_secret_under_a_name_of_another_language_is_filtered(name: str, form: str) -> None:
    assert Scrubber().scrub({"extra": {name: SECRET}})[0] == {"extra": {name: FILTERED}}
    assert Scrubber().scrub_text(form.format(name, SECRET)) == form.format(name, FILTERED)


@pytest.mark.parametrize("token", ["9f8e7d6c5b4a3928", "'9f8e7d6c5b4a3928'"])
def test_token_that_was_refused_is_filtered_behind_a_colon(token: str) -> None:
    assert token.strip("'") not in Scrubber().scrub_text(f"invalid token: {token}")


@pytest.mark.parametrize("payload", HARMLESS, ids=str)
def test_harmless_value_stays(payload: Any) -> None:
    assert Scrubber().scrub(payload) == (payload, [])


# What real clients sent that is a secret: rule, end of the path, how often it stands there.
RIGHT = {
    ("name", "vars.body.password"): 3,
    ("pair", "post_context"): 10,
    ("pair", "pre_context"): 22,
    ("pair", "request.query_string"): 1,
    ("pair", "vars.ctx"): 1,
    ("pair", "vars.environ.QUERY_STRING"): 1,
    ("pair", "vars.environ.RAW_URI"): 1,
    ("pair", "vars.environ.REQUEST_URI"): 1,
    ("pair", "vars.req"): 1,
    ("url", "pre_context"): 2,
}


def test_no_more_than_one_value_in_a_hundred_of_real_events_is_redacted_wrongly() -> None:
    redacted: Counter[tuple[str, str]] = Counter()
    texts = 0
    for entry in EVENTS:
        event = envelope_of(entry).event()
        assert event is not None
        result, findings = Scrubber().scrub(event.payload)
        texts += json.dumps(result).count('": "')
        redacted.update(
            (f.rule, re.sub(r"^.*frames\[\d+\]\.|\[\d+\]", "", f.path)) for f in findings
        )
    wrong = redacted - Counter(RIGHT)
    assert wrong.total() <= texts / 100, wrong
    assert Counter(RIGHT) - redacted == Counter()


@pytest.mark.parametrize(("kind", "text", "letters", "length"), [
    *((kind, prefix + ("{}@h.example/" if "://" in prefix else "{}"), letters, length)
      for kind, prefix, letters, length in SHAPES),
    *TEXTS,
])  # fmt: skip
def test_shape_that_detect_secrets_knows_is_filtered(
    kind: str, text: str, letters: str, length: int
) -> None:
    detector = get_mapping_from_secret_type_to_class()[kind]()
    draw = random.Random(SEED)
    known = caught = 0
    for _ in range(20):
        secret = "".join(draw.choices(letters, k=length))
        if list(detector.analyze_string(text.format(secret))):
            known += 1
            result = Scrubber().scrub_text(f"got {text.format(secret)} here")
            caught += secret not in result and FILTERED in result
    assert known > 0
    assert caught >= known * 0.95


def test_every_detector_is_covered_or_left_for_a_reason() -> None:
    covered = {shape[0] for shape in SHAPES} | {text[0] for text in TEXTS}

    assert covered | LEFT.keys() == set(get_mapping_from_secret_type_to_class())
    assert covered.isdisjoint(LEFT)
