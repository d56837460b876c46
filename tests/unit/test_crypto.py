"""Derivations, tokens and sealed text against the vectors of the contract, and the rules they cannot show."""

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from happy.crypto import AtRest, Claims, Keyring, Once, Signer, Tokens, derive, verify_signature
from happy.crypto.encoding import base64url
from happy.crypto.keyring import SecretKeys
from happy.crypto.tokens import CACHE_LIFETIME, GITHUB_STATE_LIFETIME

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text("utf-8"))
ACCOUNT: str = VECTORS["accountId"]
PERSISTENT = VECTORS["persistentToken"]
STATE = VECTORS["githubStateToken"]
NOW = PERSISTENT["verifyAt"] * 1000


@pytest.fixture(scope="module")
def keyring() -> Keyring:
    return derive(VECTORS["secret"])


@pytest.fixture
def signer() -> Signer:
    return Signer(bytes.fromhex(PERSISTENT["privateSeedHex"]), "handy")


def signed(signer: Signer, payload: object, header: object = None) -> str:
    """A token of `signer` with any payload and header."""
    parts = [header if header is not None else {"alg": "EdDSA"}, payload]
    message = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{message}.{base64url(crypto_sign(message.encode(), signer._secret_key)[:64])}"


def identity(claims: Claims | None) -> tuple[str, dict[str, object]]:
    """The account and the extra claims."""
    assert claims is not None
    return claims.account_id, claims.extras


# ---- persistent tokens


def test_the_public_keys_are_those_of_every_server_with_this_secret(keyring: Keyring) -> None:
    assert PERSISTENT["publicKeyHex"] == keyring.tokens.public_key.hex()
    assert STATE["publicKeyHex"] == keyring.github_states.public_key.hex()


def test_tokens_with_fixed_time_and_id_are_reproduced_byte_for_byte(signer: Signer) -> None:
    fixed, terminal = PERSISTENT["fixed"], PERSISTENT["fixedTerminal"]

    plain = signer.issue(ACCOUNT, fixed["iat"] * 1000 + 999, jti=fixed["jti"])
    extended = signer.issue(
        ACCOUNT, terminal["iat"] * 1000, extras={"session": terminal["session"]}, jti=terminal["jti"]
    )

    assert fixed["token"] == plain
    assert terminal["token"] == extended


@pytest.mark.parametrize(
    ("token", "extras"),
    [
        (PERSISTENT["fixed"]["token"], {}),
        (PERSISTENT["fixedTerminal"]["token"], {"session": PERSISTENT["fixedTerminal"]["session"]}),
        (PERSISTENT["issuedByReferenceImplementation"], {}),
        (PERSISTENT["terminalIssuedByReferenceImplementation"], {"session": "cmrequest000000000000000001"}),
        (PERSISTENT["mustAccept"]["algEd25519"], {}),
    ],
)
def test_tokens_of_an_existing_deployment_are_valid_here(
    keyring: Keyring, token: str, extras: dict[str, str]
) -> None:
    assert (ACCOUNT, extras) == identity(keyring.tokens.verify(token, NOW))


@pytest.mark.parametrize("name", PERSISTENT["mustReject"])
def test_the_contracts_bad_tokens_are_rejected(keyring: Keyring, name: str) -> None:
    assert keyring.tokens.verify(PERSISTENT["mustReject"][name], NOW) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "ünï.cö.de",
        PERSISTENT["fixed"]["token"] + "=",
        PERSISTENT["fixed"]["token"] + "\n",
        " " + PERSISTENT["fixed"]["token"],
        PERSISTENT["fixed"]["token"][:-1],
        base64url(b"[" * 100_000) + ".e30.AAAA",
        base64url(b"[]") + ".e30.AAAA",
        base64url(b"\xff") + ".e30.AAAA",
    ],
)
def test_malformed_text_is_an_invalid_token_and_nothing_worse(signer: Signer, token: str) -> None:
    assert signer.verify(token, NOW) is None


BASE = {"sub": "a", "iat": 100, "nbf": 100, "iss": "handy", "jti": "x"}


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"nbf": 105}, True),  # another replica's clock is a little ahead
        ({"nbf": 106}, True),  # and ours may be behind: the signature says that it is ours
        ({"nbf": 10_000_000_000, "iat": 10_000_000_000}, True),
        ({"nbf": 99.5}, True),
        ({"iat": 10_000}, True),  # only its type counts
        ({"exp": 101}, True),
        ({"exp": 100}, False),
        ({"exp": "101"}, False),
        ({"exp": None}, False),
        ({"iat": "100"}, False),
        ({"iat": True}, False),
        ({"nbf": [1]}, False),
        ({"iss": "github-happy"}, False),
        ({"iss": ["handy"]}, False),
        ({"sub": 5}, False),
        ({"sub": ""}, False),
        ({"aud": "anyone", "jti": 7}, True),
    ],
)
def test_the_claims_decide(signer: Signer, change: dict[str, object], valid: bool) -> None:
    token = signed(signer, {**BASE, **change})

    assert valid == (signer.verify(token, 100_000) is not None)


def test_absent_times_are_fine_but_an_absent_account_or_issuer_is_not(signer: Signer) -> None:
    assert identity(signer.verify(signed(signer, {"iss": "handy", "sub": "a"}), 1)) == ("a", {})
    assert signer.verify(signed(signer, {"iss": "handy"}), 1) is None
    assert signer.verify(signed(signer, {"sub": "a"}), 1) is None
    assert signer.verify(signed(signer, ["sub", "a"]), 1) is None


@pytest.mark.parametrize("algorithm", ["none", "HS256", "eddsa", None, ["EdDSA"], 5])
def test_other_algorithms_are_refused_even_with_our_signature(signer: Signer, algorithm: object) -> None:
    assert signer.verify(signed(signer, BASE, {"alg": algorithm}), 100_000) is None


def test_a_token_has_an_id_and_an_issue_time(keyring: Keyring) -> None:
    fixed = keyring.tokens.verify(PERSISTENT["fixed"]["token"], NOW)
    assert fixed is not None
    assert (PERSISTENT["fixed"]["jti"], PERSISTENT["fixed"]["iat"]) == (fixed.token_id, fixed.issued_at)

    issued = keyring.tokens.issue(ACCOUNT, NOW)
    again = Tokens(Signer(bytes.fromhex(PERSISTENT["privateSeedHex"]), "handy")).verify(issued, NOW)
    assert keyring.tokens.verify(issued, NOW) == again


@pytest.mark.parametrize("jti", [None, 7, "", "x" * 65, "a\nb", "h\u0000"])
def test_a_token_without_a_usable_id_has_one_that_is_derived(signer: Signer, jti: object) -> None:
    payload = {"iss": "handy", "sub": "a"} if jti is None else {"iss": "handy", "sub": "a", "jti": jti}
    token, other = signed(signer, payload), signed(signer, {**payload, "iat": 1})
    first, same, another = (signer.verify(each, 1_000) for each in (token, token, other))

    assert first is not None
    assert same is not None
    assert another is not None
    assert (True, None, 1) == (first.token_id.startswith("h-"), first.issued_at, another.issued_at)
    assert (True, False) == (first.token_id == same.token_id, first.token_id == another.token_id)


def test_text_outside_ascii_is_written_as_it_is(signer: Signer) -> None:
    token = signer.issue("ünï/☃", 1_000)
    payload = token.split(".")[1]

    assert '"sub":"ünï/☃"' in base64.urlsafe_b64decode(payload + "==").decode()
    assert ("ünï/☃", {}) == identity(signer.verify(token, 1_000))


def test_two_tokens_of_the_same_moment_differ(signer: Signer) -> None:
    assert signer.issue("a", 1_000) != signer.issue("a", 1_000)


# ---- the cache of known tokens


class CountingSigner(Signer):
    """Counts the signatures it checks."""

    def __init__(self) -> None:
        super().__init__(bytes(32), "handy")
        self.checked = 0

    def verify(self, token: str, now: int) -> Claims | None:
        self.checked += 1
        return super().verify(token, now)


def test_a_token_is_checked_once_a_day() -> None:
    signer = CountingSigner()
    tokens, token = Tokens(signer), signer.issue("a", 0)
    for now in (0, 1, CACHE_LIFETIME - 1):
        assert identity(tokens.verify(token, now)) == ("a", {})
    assert signer.checked == 1

    assert tokens.verify(token, CACHE_LIFETIME) is not None
    assert signer.checked == 2


def test_a_fresh_token_needs_no_check_and_carries_its_extra_claims() -> None:
    signer = CountingSigner()
    tokens = Tokens(signer)
    token = tokens.issue("a", 0, {"session": "s"})

    assert ("a", {"session": "s"}) == identity(tokens.verify(token, 1))
    assert signer.checked == 0


def test_a_cached_token_is_not_valid_beyond_its_own_end() -> None:
    signer = CountingSigner()
    tokens, token = Tokens(signer), signer.issue("a", 0, lifetime=10_000)

    assert tokens.verify(token, 9_999) is not None
    assert tokens.verify(token, 10_000) is None


def test_invalid_tokens_take_no_memory() -> None:
    tokens = Tokens(CountingSigner())
    for number in range(100):
        assert tokens.verify(f"a.b.{number}", 0) is None

    assert len(tokens._known) == 0


def test_a_clock_that_is_behind_is_said_once_an_hour(
    signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = {account: signer.issue(account, NOW + 3_600_000) for account in ("a", "b")}
    for account, token in tokens.items():
        assert account == getattr(signer.verify(token, NOW), "account_id", None)

    assert 1 == len(caplog.messages)
    assert "from the future" in caplog.messages[0]
    assert not any(token in caplog.text for token in tokens.values())


def test_issuing_tokens_does_not_grow_memory_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("happy.crypto.tokens.CACHED_TOKENS", 3)
    signer = CountingSigner()
    tokens = Tokens(signer)
    first, *others = [tokens.issue(str(number), 0) for number in range(3)]
    tokens.verify(first, 1)
    tokens.issue("one more", 1)

    assert len(tokens._known) == 3
    tokens.verify(first, 1)
    assert signer.checked == 0  # the one in use stayed
    tokens.verify(others[0], 1)
    assert signer.checked == 1  # the one unused for longest went


def test_purging_forgets_yesterdays_tokens_only() -> None:
    tokens = Tokens(CountingSigner())
    tokens.issue("old", 0)
    recent = tokens.issue("recent", 1_000)
    tokens.purge(CACHE_LIFETIME)

    assert [recent] == list(tokens._known)


# ---- GitHub state tokens


def test_a_state_token_is_reproduced_and_lives_five_minutes(keyring: Keyring) -> None:
    fixed = STATE["fixedExpired"]
    signer = keyring.github_states._signer
    token = signer.issue(ACCOUNT, fixed["iat"] * 1000, lifetime=GITHUB_STATE_LIFETIME, jti=fixed["jti"])

    assert fixed["token"] == token
    assert keyring.github_states.verify(token, fixed["acceptedWithClockAt"] * 1000) is not None
    assert keyring.github_states.verify(token, fixed["exp"] * 1000 - 1) is not None
    assert keyring.github_states.verify(token, fixed["exp"] * 1000) is None


def test_a_state_token_of_the_reference_is_valid_in_its_time(keyring: Keyring) -> None:
    claims = keyring.github_states.verify(STATE["issuedByReferenceImplementation"], 1_795_331_700_000)

    assert claims is not None
    assert ACCOUNT == claims.account_id


def test_state_tokens_and_bearer_tokens_are_not_interchangeable(keyring: Keyring) -> None:
    now = 1_700_000_000_000

    assert keyring.tokens.verify(keyring.github_states.issue(ACCOUNT, now), now) is None
    assert keyring.github_states.verify(keyring.tokens.issue(ACCOUNT, now), now) is None


def test_the_end_of_a_state_token_counts_whole_seconds(keyring: Keyring) -> None:
    claims = keyring.github_states.verify(keyring.github_states.issue(ACCOUNT, 1_700), 1_700)

    assert claims is not None
    assert claims.expires_at == 301


# ---- sealed text


@pytest.mark.parametrize("item", VECTORS["atRest"])
def test_leaf_keys_and_blobs_are_those_of_the_contract(keyring: Keyring, item: dict[str, Any]) -> None:
    blob = base64.b64decode(item["blobBase64"])

    at_rest = SecretKeys(VECTORS["secret"]).at_rest()
    assert item["leafKeyHex"] == at_rest.leaf_key(item["path"]).hex()
    assert item["plaintext"] == keyring.at_rest.unseal(item["path"], blob)
    if "nonceHex" in item:
        nonce = bytes.fromhex(item["nonceHex"])
        assert blob == at_rest.seal(item["path"], item["plaintext"], nonce)


def test_sealing_twice_gives_two_blobs_of_the_same_text() -> None:
    vault = AtRest(bytes(64))
    one, other = vault.seal(["a"], "text ☃"), vault.seal(["a"], "text ☃")

    assert one != other
    assert vault.unseal(["a"], one) == vault.unseal(["a"], other) == "text ☃"


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: b"",
        lambda blob: blob[:28],
        lambda blob: b"\x01" + blob[1:],
        lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]),
        lambda blob: blob[:5] + b"x" + blob[6:],
    ],
)
def test_a_damaged_blob_is_refused(damage: Any) -> None:
    vault = AtRest(bytes(64))

    with pytest.raises(ValueError, match="sealed"):
        vault.unseal(["a"], damage(vault.seal(["a"], "text")))


def test_a_blob_opens_only_under_its_path() -> None:
    vault = AtRest(bytes(64))

    with pytest.raises(ValueError, match="another path"):
        vault.unseal(["a", "b"], vault.seal(["a"], "text"))


def test_a_path_cannot_reach_the_keys_of_another_purpose() -> None:
    with pytest.raises(ValueError, match="#"):
        AtRest(bytes(64)).seal(["user", "#aes256"], "text")


def test_the_cache_of_leaf_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("happy.crypto.at_rest.CACHED_LEAF_KEYS", 2)
    vault = AtRest(bytes(64))
    blobs = {name: vault.seal([name], name) for name in "abcde"}

    assert len(vault._ciphers) <= 2
    assert list("abcde") == [vault.unseal([name], blob) for name, blob in blobs.items()]


# ---- a secret that replaced others

OLDER, OLD, NEW = "the first secret", "the second secret", "the third secret"


@pytest.fixture(scope="module")
def rotated() -> Keyring:
    return Keyring(NEW, [OLD, OLDER])


@pytest.mark.parametrize("before", [OLD, OLDER])
def test_what_a_previous_secret_made_is_accepted(rotated: Keyring, before: str) -> None:
    keys = Keyring(before)
    token, state = keys.tokens.issue(ACCOUNT, NOW), keys.github_states.issue(ACCOUNT, NOW)
    blob = keys.at_rest.seal(["a"], "text").blob

    for accepting, accepted in ((rotated, True), (Keyring(NEW), False)):
        assert accepted == (accepting.tokens.verify(token, NOW) is not None)
        assert accepted == (accepting.github_states.verify(state, NOW) is not None)
    assert "text" == rotated.at_rest.unseal(["a"], blob)
    with pytest.raises(ValueError, match="another path or secret"):
        Keyring(NEW).at_rest.unseal(["a"], blob)


def test_previous_secrets_make_nothing(rotated: Keyring) -> None:
    token = rotated.tokens.issue(ACCOUNT, NOW)
    sealed = rotated.at_rest.seal(["a"], "text")

    assert Keyring(NEW).tokens.verify(token, NOW) is not None
    assert None is Keyring(OLD, [OLDER]).tokens.verify(token, NOW)
    assert "text" == Keyring(NEW).at_rest.unseal(["a"], sealed.blob)
    assert sealed.key_id == rotated.key_ids[0] == rotated.fingerprint[:16]
    assert (Keyring(OLD).fingerprint, Keyring(OLDER).fingerprint) == rotated.previous_fingerprints
    assert rotated.proofs("a use") == tuple(Keyring(each).proofs("a use")[0] for each in (NEW, OLD, OLDER))
    assert Keyring(NEW).voice_user_id("a") == rotated.voice_user_id("a")


def test_a_text_is_sealed_again_unless_it_is_already(rotated: Keyring) -> None:
    old = Keyring(OLD).at_rest.seal(["a"], "text")
    again = rotated.at_rest.reseal(["a"], old.blob)

    assert "text" == Keyring(NEW).at_rest.unseal(["a"], again.blob)
    assert again == rotated.at_rest.reseal(["a"], again.blob)
    with pytest.raises(ValueError, match="another path or secret"):
        rotated.at_rest.reseal(["a"], Keyring("a fourth secret").at_rest.seal(["a"], "text").blob)


# ---- the rest


def test_the_voice_user_id_is_the_contracts(keyring: Keyring) -> None:
    voice = VECTORS["voiceUserId"]

    assert voice["value"] == keyring.voice_user_id(voice["accountId"])


def test_a_sign_in_signature_verifies_only_for_its_challenge() -> None:
    vector = {
        name: base64.b64decode(text)
        for name, text in VECTORS["accountAuth"].items()
        if name.endswith("Base64")
    }
    key, challenge, signature = (
        vector["publicKeyBase64"],
        vector["challengeBase64"],
        vector["signatureBase64"],
    )

    assert verify_signature(key, challenge, signature)
    assert not verify_signature(key, challenge + b"x", signature)
    assert not verify_signature(bytes(32), challenge, signature)
    assert not verify_signature(key[:-1], challenge, signature)
    assert not verify_signature(key, challenge, signature + b"x")


def test_an_empty_challenge_can_be_signed() -> None:
    public_key, secret_key = crypto_sign_seed_keypair(bytes(32))

    assert verify_signature(public_key, b"", crypto_sign(b"", secret_key)[:64])


def test_the_secret_counts_verbatim() -> None:
    assert Keyring("s").voice_user_id("a") != Keyring(" s").voice_user_id("a")
    assert len(Keyring("not utf-8: \udcff").voice_user_id("a")) == 45


def test_a_keyring_does_not_print_its_secret(keyring: Keyring) -> None:
    assert VECTORS["secret"] not in repr(keyring) + repr(vars(keyring.tokens))


def test_a_value_is_made_once_however_many_threads_ask() -> None:
    made: list[int] = []
    gate = threading.Event()

    def make() -> int:
        gate.wait(5)
        made.append(1)
        return len(made)

    once, seen = Once(make), list[int]()
    threads = [threading.Thread(target=lambda: seen.append(once())) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(5)

    assert [1] * 8 == seen
