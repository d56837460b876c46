"""Keys derived from the master secret: bearer tokens, state tokens, sealed text; sign-in signatures."""

from happy.crypto.at_rest import AtRest
from happy.crypto.encoding import verify_signature
from happy.crypto.keyring import Keyring, Once, derive
from happy.crypto.tokens import Claims, Signer, StateTokens, Tokens

__all__ = [
    "AtRest",
    "Claims",
    "Keyring",
    "Once",
    "Signer",
    "StateTokens",
    "Tokens",
    "derive",
    "verify_signature",
]
