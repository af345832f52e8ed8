"""Decides which names of fields, headers, options and variables are secret."""

from __future__ import annotations

import re
import unicodedata

# Bits of a verdict on a name; 0 means that the name is not secret.
SECRET = 1
COUNTABLE = 2  # `tokens`, `pass`: a string is a secret, a number is a count
WEAK = 4  # `auth`: in a text "auth:login" is an endpoint, "auth: x" and "auth=x" are pairs
LOOSE = 128  # `auth`, `session`: a plain word is not a secret, as in auth=ldap
NUMBER = 256  # `pin`, `cvv`: a plain word is not a secret, as in pin: centre
HEADER = 8  # the value has several words: "Authorization: Digest a=b, c=d", "Cookie: a=b; c=d"

# A longer text is a sentence or a URL, not a name. SDKs cut tag names at 32 characters, and
# OpenTelemetry attributes at 128.
MAX_NAME = 100

_NO_NAME = re.compile(r"[/=?&@<>,;\\]|\[Filtered|----")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")

_UNMARKED = str.maketrans("łŁøØđðıß", "lLoOddis")


def fold(text: str) -> str:
    """Return a text without accents: ``contraseña`` is ``contrasena``, ``ド`` is ``ト``."""
    return "".join(
        char
        for char in unicodedata.normalize("NFKD", text).translate(_UNMARKED)
        if not unicodedata.combining(char)
    )


# A name with one of these words in any place is secret: db_password_1, X-CSRF-Token, jwtRaw.
_WORDS = frozenset(
    "password passwords passwd passwort pwd pw passphrase passcode pincode secret secrets"
    " authorization credential credentials csrf xsrf jwt bearer otp totp cvv cvc ssn iban"
    " apikey apikeys privatekey secretkey accesskey sessionid sessid"
    # in other languages, without accents
    " kennwort passworter losungswort zugangscode geheimwort senha senhas contrasena contrasenas"
    " contrasenya mdp motdepasse passe haslo hasło wachtwoord losenord passord adgangskode kodeord"
    " salasana parola sifre jelszo heslo geslo lozinka zaporka slaptazodis parole parool katasandi"
    " matkhau lykilord adgangsord katalaluan nenosiri лозинка токен токени токены geheimnis"
    " apischlussel geheimschlussel zugriffsschlussel"
    # numbers of persons
    " cpf dni nif nino bsn pesel personnummer steuerid steueridentifikationsnummer"
    " burgerservicenummer"
    " aadhaar clabe curp".split()
)
# The same inside of a word, without a boundary: userpassword, csrfmiddlewaretoken, PHPSESSID.
_INSIDE = re.compile(
    "password|passwd|passphrase|sessionid|sessid|apikey|privatekey|secretkey|accesskey|csrf|xsrf"
    "|(?:credentials?|secrets?|token|pwd)$"
    "|passwort|kennwort|contrasena|wachtwoord|losenord|motdepasse"
)
# Pairs of words. `key` and `id` alone are not secret: primary_key, foreign_key, user_id.
_PHRASES = frozenset(
    tuple(pair.split("_"))
    for pair in (
        "api_key api_keys access_key access_keys private_key private_keys secret_key account_key"
        " auth_key encryption_key signing_key signature_key master_key ssh_key shared_key"
        " client_key consumer_key storage_key session_key session_id session_cookie cookie_jar"
        " aiohttp_session user_session connect_sid auth_code auth_data auth_header auth_headers"
        " auth_info security_code verification_code mfa_code backup_codes recovery_codes"
        " card_number card_no credit_card cc_number cc_num card_pin pin_code user_pin"
        " social_security amz_signature national_insurance tax_id steuer_id steuer_idnr national_id"
        " clave_acceso clave_secreta clave_privada clave_api service_key storage_account_key db_key"
        " database_key priv_key key_pass secret_access connection_string mat_khau client_assertion"
        " goog_signature oauth_code device_code user_code recovery_phrase seed_phrase"
        " codice_fiscale kata_sandi kata_laluan aws_key cloudant_key iam_key cloud_key"
        " softlayer_key"
        " recovery_code backup_code reset_code login_code access_code"
    ).split()
)
# `key` in other languages, and the words that make it secret: clé_api, chave secreta.
_KEYS = (
    "cle chave clave chiave schlussel sleutel nyckel nogle nokkel avain kulcs klic kluc klucz"
    " kljuc cheie anahtar anahtari kunci khoa ufunguo ключ κλειδι مفتاح کلید מפתח"
).split()
_OF_KEYS = (
    "api secret secrete secreta segreta privee privada privata privat acces acceso acesso accesso"
    " geheim geheime geheimer gizli rahasia tajny tajna"
).split()
_KEY_PHRASES = frozenset(
    pair for key in map(fold, _KEYS) for word in _OF_KEYS for pair in ((key, word), (word, key))
)
# Words for secret, token and key that also have other meanings. The value is a secret if it is not
# a plain word. These are whole words: секретарь is another word.
_LOOSE_WORDS = frozenset(
    fold(word)
    for word in (
        "секрет секрета секреты секретныи секретна секретнии ключ"
        " segredo segredos secreto secretos secreta segreto segreta geheim geheime geheimer sekret"
        " tajemstvi gizli rahasia hemlighet hemmelighed hemmelighet salaisuus titok siri"
        " jeton jetons belirtec סוד אסימון سر 비밀 토큰 秘密"
    ).split()
)
# Secret only as the whole name. The denylist of sentry-sdk has session and symfony. `sig` is the
# signature of an Azure link, which is valid for months.
_WHOLE = frozenset({"session", "symfony", "pin", "sig", "clave", "nir", "nie"})
# The values of these names are numbers.
_NUMBERS = frozenset({"pin", "pincode", "nir", "nie", "cvv", "cvc", "ssn"})
# With one of these as its last word, a name is a fact about a secret: password_changed_at,
# token_url, SESSION_COOKIE_NAME. `id`, `hash`, `hint` and `value` are left out on purpose.
_FACTS = frozenset(
    "age alg algorithm at backend budget class cls count counts created date dir domain enabled"
    " endpoint error errors exempt expiration expired expires expiry factory field fields file form"
    " format func function generator handler hashers host httponly in invalid issuer kind label"
    " left len length lifetime limit manager max method middleware min missing mode model module"
    " name names origins parser path policy prefix provider remaining required reset rules samesite"
    " result results check checks response outcome state match matches matched verified"
    " changed rotated"
    " schema scheme scope scopes secure serializer service size status store strength timeout ttl"
    " type types updated uri url usage used valid validator validators version view".split()
)
# The same for result codes, and for the id of a key: api_key_id.
_FACT_PAIRS = frozenset(
    tuple(pair.split("_"))
    for pair in (
        "result_code response_code error_code status_code check_code key_id keys_id token_id"
        " tokens_id password_id credential_id credentials_id key_ids token_ids"
    ).split()
)
# The id of an AWS key is one half of the credentials, even without the secret.
_SECRET_IDS = frozenset({("access", "key", "id")})
# With one of these words, `tokens` is an amount (language models, rate limits).
_AMOUNTS = frozenset(
    "max min total num number per count limit input output prompt completion cached cache reasoning"
    " used usage remaining budget new context audio text accepted rejected prediction".split()
)
_AMOUNTS_SINGULAR = frozenset({"max", "min", "total", "num", "per"})


def words_of(name: str) -> tuple[str, ...]:
    """Split a name at case changes, digits and punctuation: ``X-Api-Key2`` is ``x, api, key``."""
    if not name.isascii():
        name = fold(name)
    return tuple(word.lower() for word in _WORD.findall(name))


# Marks of letters that `\\w` does not match: vowels of Hindi and Thai, separate accents.
MARKS = r"\u0300-\u036f\u064b-\u0652\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u200c\u200d"
# The characters between the words of a name in these scripts.
_BETWEEN = re.compile(r"[\s_.\u200c\u200d-]+")


# The second words of names with two words in a text: "API key: x", "mật khẩu: x".
SECOND_WORDS = frozenset(
    "key keys code codes id number phrase signature api khau sandi laluan".split()
    + [word for word in _OF_KEYS if word != "secret"]
    + [fold(word) for word in "المرور السر مرور سر السري سري عبور الوصول ورڈ".split()]
)


def is_second_word(name: str) -> bool:
    """Return whether this may be the second word of a secret name."""
    return (name if name.isascii() else fold(name)).lower() in SECOND_WORDS


def _squashed(name: str) -> str:
    return fold(_BETWEEN.sub("", name)).lower()


# Words of scripts without spaces or with word endings. They are searched for anywhere in a name.
_ELSEWHERE = tuple(
    _squashed(word)
    for word in (
        "парол пинкод 密码 密碼 口令 パスワード 暗証番号 비밀번호 암호 סיסמה סיסמא"
        " كلمة_المرور كلمة_السر كلمة_مرور كلمة_سر الرقم_السري رمز_عبور گذرواژه پاس_ورڈ"
        " รหัสผ่าน पासवर्ड কূটশব্দ পাসওয়ার্ড ਪਾਸਵਰਡ પાસવર્ડ பாஸ்வேர்டு கடவுச்சொல்"
        " పాస్వర్డ్ ಪಾಸ್ವರ್ಡ್ പാസ്‌വേഡ് κωδικός συνθηματικό გასაღები գաղտնաբառ"
        # secrets, tokens and keys
        " 令牌 密钥 密鑰 密匙 秘钥 秘鑰 トークン シークレット 秘密鍵 暗号鍵 apiキー アクセスキー"
        " api키 비밀키 액세스키 인증키 مفتاح_سري المفتاح_السري رمز_الوصول टोकन โทเค็น โทเคน"
    ).split()
)
# A name that ends with one of these is a fact about a secret.
_FACTS_ELSEWHERE = tuple(
    map(
        fold,
        "类型 類型 长度 長度 长さ 名称 名稱 数量 數量 数 時間 时间 状态 狀態 유형 길이".split(),
    )
)


def _is_secret_elsewhere(name: str) -> bool:
    """Return whether a name beyond ASCII contains a secret word of a script without spaces."""
    squashed = _squashed(name)
    is_fact = squashed.endswith(_FACTS_ELSEWHERE)
    return not is_fact and any(word in squashed for word in _ELSEWHERE)


def verdict_of(name: str) -> int:
    """Return whether a field of this name has a secret value.

    A name is secret if it has a secret word (``password``) or word pair (``api key``), or if it
    ends in ``token``, ``cookie`` or ``auth``. It is not secret if its last word makes it a fact
    about the secret (``token_url``) or an amount (``max_tokens``). A path, a URL or a sentence is
    not a name.

    :return: 0, or ``SECRET`` together with the other bits of this module that apply.
    """
    if len(name) > MAX_NAME or _NO_NAME.search(name):
        return 0
    words = words_of(name)
    if not words or _is_fact(words):
        return 0
    if not name.isascii() and _is_secret_elsewhere(name):
        return SECRET
    if words[-1] in ("cookie", "cookies", "authorization"):
        return SECRET | HEADER
    if words in (("session",), ("symfony",)):
        return SECRET | LOOSE
    if _has_secret_word(words) or (len(words) == 1 and words[0] in _WHOLE):
        return SECRET | NUMBER if words[-1] in _NUMBERS else SECRET
    if words[-1] == "pass" or ("tokens" in words and _AMOUNTS.isdisjoint(words)):
        return SECRET | COUNTABLE
    if not _LOOSE_WORDS.isdisjoint(words):
        return SECRET | LOOSE | COUNTABLE
    return SECRET | WEAK | LOOSE if words[-1] == "auth" else 0


def _is_fact(words: tuple[str, ...]) -> bool:
    """Return whether a name is a fact about a secret, not a secret."""
    is_pair = words[-2:] in _FACT_PAIRS and words[-3:] not in _SECRET_IDS
    return words[-1] in _FACTS or is_pair


def _has_secret_word(words: tuple[str, ...]) -> bool:
    pairs = [*zip(words, words[1:], strict=False)]
    if not _WORDS.isdisjoint(words) or not _PHRASES.isdisjoint(pairs):
        return True
    if not _KEY_PHRASES.isdisjoint(pairs):
        return True
    if "token" in words and _AMOUNTS_SINGULAR.isdisjoint(words):
        return True
    return any(len(word) > 5 and _INSIDE.search(word) for word in words)
