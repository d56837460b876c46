"""Keys derived from the master secret: bearer tokens, state tokens, sealed text; sign-in signatures."""

from happy.crypto.at_rest import AtRest, AtRestRing, Sealed
from happy.crypto.encoding import verify_signature
from happy.crypto.keyring import Keyring, Once, derive, key_id_of
from happy.crypto.tokens import Claims, Signer, StateTokens, Tokens

__all__ = [
    "AtRest",
    "AtRestRing",
    "Claims",
    "Keyring",
    "Once",
    "Sealed",
    "Signer",
    "StateTokens",
    "Tokens",
    "derive",
    "key_id_of",
    "verify_signature",
]
