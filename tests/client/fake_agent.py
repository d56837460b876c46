"""A coding agent without a model: it speaks the Agent Client Protocol and answers `You said: ...`.

Every prompt it is given becomes a line of the file named by FAKE_AGENT_PROMPTS, in JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def record(said: str) -> None:
    file = os.environ.get("FAKE_AGENT_PROMPTS")
    if file:
        with Path(file).open("a") as prompts:
            prompts.write(json.dumps(said) + "\n")


def prompt(params: dict[str, Any]) -> dict[str, Any]:
    said = "".join(part.get("text", "") for part in params["prompt"])
    record(said)
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
