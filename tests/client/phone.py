"""The phone: signs in, approves a terminal, and reads and writes what only the clients can decrypt."""

import base64
import json
import os
import uuid
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey

from tests.support.api_client import ApiClient, b64
from tests.support.socket_client import SocketClient

NONCE = 12
# How a client tells the forms of a link's answer apart: 32 bytes of secret, or this byte and a public key.
V2 = b"\0"


class DataKey:
    """A key that both ends share: JSON in AES-256-GCM, as `0 | nonce | ciphertext | tag` in base64."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, value: Any) -> str:
        nonce = os.urandom(NONCE)
        return b64(b"\0" + nonce + self._cipher.encrypt(nonce, json.dumps(value).encode(), None))

    def decrypt(self, text: str) -> Any:
        raw = base64.b64decode(text)
        assert raw[:1] == b"\0", "an unknown form of encryption"
        return json.loads(self._cipher.decrypt(raw[1 : 1 + NONCE], raw[1 + NONCE :], None))


class Phone:
    """An account with its keys; `api` speaks HTTP for it."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.secret = os.urandom(32)
        self._content = PrivateKey.generate()
        self._attached: dict[str, str] = {}

    async def sign_in(self) -> None:
        await self.api.sign_in(SigningKey(self.secret))

    async def approve(self, terminal: bytes, *, v2: bool = True) -> None:
        """Answer the terminal whose public key was on the screen, if it is waiting."""
        public_key = b64(terminal)
        waiting = await self.api.get("/v1/auth/request/status", publicKey=public_key)
        assert waiting == {"status": "pending", "supportsV2": True}, waiting
        answer = V2 + bytes(self._content.public_key) if v2 else self.secret
        ephemeral = PrivateKey.generate()
        response = bytes(ephemeral.public_key) + Box(ephemeral, PublicKey(terminal)).encrypt(answer)
        await self.api.post("/v1/auth/response", {"response": b64(response), "publicKey": public_key})

    def data_key(self, encrypted: str) -> DataKey:
        """The `dataEncryptionKey` of a machine or a session: `0 | ephemeral key | nonce | box`."""
        raw = base64.b64decode(encrypted)
        assert raw[:1] == b"\0", "an unknown form of key"
        box = Box(self._content, PublicKey(raw[1:33]))
        return DataKey(box.decrypt(raw[57:], raw[33:57]))

    async def call(self, socket: SocketClient, target: str, key: DataKey, method: str, params: Any) -> Any:
        """Call a method of a machine or session and decrypt its answer."""
        payload = {"method": f"{target}:{method}", "params": key.encrypt(params)}
        answer = await socket.call("rpc-call", payload, timeout=40)
        assert answer["ok"] is True, answer
        return key.decrypt(answer["result"])

    async def say(self, session_id: str, key: DataKey, text: str) -> None:
        """Send a prompt to a session."""
        meta = {"sentFrom": "phone", "permissionMode": "default"}
        message = {"role": "user", "content": {"type": "text", "text": text}, "meta": meta}
        await self.api.post_messages(session_id, [key.encrypt(message)], [str(uuid.uuid4())])

    async def transcript(self, session_id: str, key: DataKey) -> list[Any]:
        """Everything said in a session, decrypted."""
        messages = await self.api.messages(session_id)
        return [key.decrypt(message["content"]["c"]) for message in messages]

    async def attach(self, session_id: str, content: bytes) -> None:
        """Store a file with the session."""
        path = f"/v1/sessions/{session_id}/attachments/request-upload"
        offered = await self.api.post(path, {"filename": "a.enc", "size": len(content)})
        self._attached[session_id] = offered["ref"]
        octets = {"Content-Type": "application/octet-stream"}
        sent = await self.api.request("PUT", offered["uploadUrl"], content=content, headers=octets)
        assert sent.status_code == 200, sent.text

    async def attached(self, session_id: str) -> bytes:
        """The file that was stored with the session."""
        path = f"/v1/sessions/{session_id}/attachments/request-download"
        offered = await self.api.post(path, {"ref": self._attached[session_id]})
        answer = await self.api.request("GET", offered["downloadUrl"])
        assert answer.status_code == 200, answer.text
        return answer.content
