"""A coding agent without a model: it speaks the Agent Client Protocol and answers `You said: ...`."""

import json
import sys
from typing import Any


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def prompt(params: dict[str, Any]) -> dict[str, Any]:
    said = "".join(part.get("text", "") for part in params["prompt"])
    chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": f"You said: {said}"}}
    send({"method": "session/update", "params": {"sessionId": params["sessionId"], "update": chunk}})
    return {"stopReason": "end_turn"}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        return {"protocolVersion": 1, "agentCapabilities": {}, "authMethods": []}
    if method == "session/new":
        return {"sessionId": "the-only-session"}
    if method == "session/prompt":
        return prompt(params)
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request and "method" in request:
        send({"id": request["id"], "result": answer(request["method"], request.get("params") or {})})
