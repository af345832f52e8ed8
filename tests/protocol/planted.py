# ruff: noqa: E501
"""Invented secrets of every kind, in the places where secrets occur; a seed selects them.

Keys of services are joined from parts, so that no secret scanner reports this file.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from typing import Any

Planted = tuple[str, Any, str]  # kind, payload, the text that scrubbing must remove

_LETTERS = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
NAMES = (
    "Passwort Kennwort senha contraseña clave_acceso mdp motDePasse пароль пароль_пользователя 密码"
    " 密碼 用户密码 パスワード 暗証番号 비밀번호 hasło haslo wachtwoord lösenord losenord parola şifre sifre"
    " userPasswort db_senha contrasenaUsuario nouveau_mot_de_passe heslo salasana adgangskode jelszo"
    " passord סיסמה รหัสผ่าน"
).split()


def planted(seed: int) -> list[Planted]:
    """Return the secrets; the same seed gives the same secrets."""
    draw = random.Random(seed)  # noqa: S311 -- reproducible on purpose
    found: list[Planted] = []
    for kind, made in _KINDS.items():
        found += [(f"{kind} {number}", *each) for number, each in enumerate(made(draw))]
    return found


def _word(draw: random.Random, length: int, letters: str = _LETTERS) -> str:
    body = "".join(draw.choices(letters, k=length - 2))
    return f"{'k' if 'k' in letters else 'a'}{body}7"


def _names(draw: random.Random) -> Iterator[tuple[Any, str]]:
    for name in NAMES:
        secret = _word(draw, 9)
        yield {"extra": {name: secret}}, secret
        secret = _word(draw, 9)
        yield {"message": f"login: {name}={secret} from web"}, secret
    for name in ("パスワード", "密码", "пароль"):
        secret = _word(draw, 9)
        yield {"message": f"{name}：{secret}"}, secret


def _services(draw: random.Random) -> Iterator[tuple[Any, str]]:
    a, h, u = _LETTERS, _HEX, string.ascii_uppercase + "234567"
    shapes = [
        ("gh" + "p_", a, 36), ("gh" + "o_", a, 36), ("github" + "_pat_", a, 60), ("gl" + "pat-", a, 20),
        ("gl" + "dt-", a, 20), ("xo" + "xb-", "0123456789-" + h, 40), ("xap" + "p-", a, 40),
        ("sk" + "_live_", a, 24), ("rk" + "_live_", a, 24), ("wh" + "sec_", a, 32), ("AK" + "IA", u, 16),
        ("AS" + "IA", u, 16), ("AI" + "za", a, 35), ("ya" + "29.", a, 60), ("sk" + "-proj-", a, 48),
        ("sk" + "-ant-", a, 60), ("h" + "f_", a, 34), ("np" + "m_", a, 36), ("py" + "pi-AgE", a, 80),
        ("S" + "K", h, 32), ("ke" + "y-", h, 32), ("shp" + "at_", h, 32), ("dop" + "_v1_", h, 64),
        ("da" + "pi", h, 32), ("sntr" + "ys_", a, 60), ("sntr" + "yu_", h, 64), ("hv" + "s.", a, 60),
        ("dp" + ".pt.", a, 40), ("lin" + "_api_", a, 40), ("nt" + "n_", a, 46), ("PM" + "AK-" + h + h[:8] + "-", h, 34),
        ("sq0" + "csp-", a, 43), ("AK" + "C", a, 60), ("AGE-SECRET" + "-KEY-1", u, 58), ("gs" + "k_", a, 50),
        ("GOC" + "SPX-", a, 28), ("dck" + "r_pat_", a, 27), ("gl" + "sa_", a, 40),
    ]  # fmt: skip
    for prefix, letters, length in shapes:
        secret = _word(draw, length, letters)
        secret = secret.upper() if letters is u else secret
        yield {"message": f"request with {prefix}{secret} failed"}, secret
    tail = _word(draw, 24)
    yield {"message": f"https://hooks.slack.com/services/T0AB1CD2E/B0AB1CD2E/{tail}"}, tail
    tail = _word(draw, 43)
    yield {"message": f"SG.{_word(draw, 22)}.{tail} refused"}, tail
    tail = _word(draw, 33)
    yield {"message": f"GET https://api.telegram.org/bot123456789:AA{tail}/getMe"}, tail
    tail = _word(draw, 27)
    yield {"message": f"M{_word(draw, 23)}.{_word(draw, 6)}.{tail} is no bot"}, tail
    tail = _word(draw, 32, _HEX)
    yield {"message": f"mailchimp {tail}-us12"}, tail
    tail = _word(draw, 86)
    yield {"message": f"AccountName=x;AccountKey={tail}==;EndpointSuffix=core"}, tail
    tail = _word(draw, 48)
    yield {"message": "-----BEGIN OPENSSH PRIVATE" + f" KEY-----\n{tail}"}, tail


def _links(draw: random.Random) -> Iterator[tuple[Any, str]]:
    for form in (
        "https://h.example/cb?code={}&n=1", "https://h.example/cb?a=1&state={}",
        "https://h.example/cb#access_token={}&t=bearer", "https://h.example/cb#id_token={}",
        "https://b.example/o?X-Amz-Signature={}&x=1", "https://b.example/o?sv=1&sig={}&se=2",
        "https://b.example/o?X-Goog-Signature={}", "https://h.example/o?signature={}",
        "https://h.example/reset/{}", "https://h.example/accounts/reset/MQ/{}/",
        "https://h.example/password-reset/{}", "https://h.example/verify/{}",
        "https://h.example/verify-email/{}", "https://h.example/magic/{}",
        "https://h.example/magic-link/{}", "https://h.example/invite/{}",
        "https://h.example/confirm/{}", "https://h.example/login?t={}", "/activate/{}",
        "https://h.example/?oobCode={}", "https://h.example/?ticket={}", "/cb?oauth_verifier={}",
    ):  # fmt: skip
        secret = _word(draw, 32)
        yield {"request": {"url": form.format(secret)}}, secret


def _commands(draw: random.Random) -> Iterator[tuple[Any, str]]:
    for form in (
        "curl -u bob:{} https://h", "curl --user bob:{} https://h", "curl -ubob:{} https://h",
        "mysql -u root -p{} shop", "mysqldump -p{} shop", "sshpass -p {} ssh h",
        "redis-cli -h h -a {} ping", "psql --password {} -h h", "PGPASSWORD={} psql",
        "export MYSQL_PWD={}", "docker login -u bob -p {} r.example", "ldapsearch -D cn=x -w {}",
        "CREATE USER bob IDENTIFIED BY '{}'", "ALTER USER bob WITH PASSWORD '{}'",
        "SET PASSWORD = '{}'", "SET PASSWORD FOR bob = PASSWORD('{}')",
        "INSERT INTO users (id, name, password) VALUES (1, 'bob', '{}')",
        "insert into users (password, id) values ('{}', 7), ('x', 8)",
        "CREATE ROLE bob LOGIN PASSWORD '{}'", "UPDATE users SET password='{}' WHERE id=1",
    ):  # fmt: skip
        secret = _word(draw, 12)
        yield {"message": form.format(secret)}, secret


def _prose(draw: random.Random) -> Iterator[tuple[Any, str]]:
    for form in (
        "token '{}' rejected", 'token "{}" has expired', "password is {}", "The password was {}.",
        "invalid api key: {}", "Incorrect API key provided: {}", "secret `{}` not found",
        "invalid token {} for bob", "Your password is '{}'", "access key: {}", "session id: {}",
        "verification code: {}", "private key = {}", "wrong password '{}' for bob",
        "client secret: {}", "recovery code: {}",
    ):  # fmt: skip
        secret = _word(draw, 20)
        yield {"message": form.format(secret)}, secret


def _encoded(draw: random.Random) -> Iterator[tuple[Any, str]]:
    for _ in range(2):
        secret = _word(draw, 14)
        body = json.dumps({"password": secret, "n": 1})
        yield {"message": json.dumps(body)}, secret
        yield {"message": json.dumps(json.dumps(body))}, secret
        yield {"message": body.replace('"', "\\u0022")}, secret
        yield {"message": body.replace('"', "&quot;")}, secret
        yield {"message": body.replace('"', "&#34;")}, secret
        yield {"message": body.replace('"', "%22").replace(":", "%3A")}, secret
        yield {"message": f"q=password%3D{secret}%26n%3D1"}, secret
        encoded = base64.b64encode(body.encode()).decode()
        yield {"message": f"body {encoded} refused"}, encoded[8:30]
        encoded = base64.b64encode(f"bob:{secret}".encode()).decode()
        yield {"message": f"sent Basic {encoded}"}, encoded[:-2]
        yield (
            {"message": f"user {base64.b64encode(f'bobx:{secret}'.encode()).decode()}"},
            (base64.b64encode(f"bobx:{secret}".encode()).decode().rstrip("=")),
        )
    secret = _word(draw, 14)
    yield {"message": "token" + "]" * 60 + f"={secret}"}, secret


def _numbers(draw: random.Random) -> Iterator[tuple[Any, str]]:
    bank = "37040044" + "".join(draw.choices("0123456789", k=10))
    check = 98 - int(bank + "131400") % 97
    iban = f"DE{check:02}{bank}"
    yield {"message": f"transfer to {iban} failed"}, iban
    grouped = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
    yield {"message": f"transfer to {grouped} failed"}, grouped
    yield {"message": "no person 078-05-1120 found"}, "078-05-1120"
    yield {"message": "cliente 529.982.247-25 sem cadastro"}, "529.982.247-25"
    yield {"message": "CPF 52998224725 sem cadastro"}, "52998224725"
    yield {"message": "patient 2 69 05 49 588 157 80 absent"}, "588 157"
    yield {"message": "national insurance number QQ123456C"}, "QQ123456C"
    yield {"message": "BSN 111222333 onbekend"}, "111222333"
    yield {"message": "DNI 12345678Z no existe"}, "12345678Z"
    yield {"message": "Steuer-ID 86095742719 fehlt"}, "86095742719"
    for name in ("cpf", "bsn", "nino", "steuer_id", "iban"):
        secret = "".join(draw.choices("123456789", k=9))
        yield {"extra": {name: secret}}, secret
    yield {"extra": {"card": {"number": "4539148803436467"}}}, "4539148803436467"
    yield {"message": "card 4539148803436467 declined"}, "4539148803436467"


_KINDS = {
    "name": _names, "service": _services, "link": _links, "command": _commands, "prose": _prose,
    "encoded": _encoded, "number": _numbers,
}  # fmt: skip
