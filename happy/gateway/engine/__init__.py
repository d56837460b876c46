"""An Engine.IO 4 and Socket.IO 5 server: polling as an ASGI application, websockets below ASGI.

`Server` implements the protocol, an `Application` authenticates clients and handles their events, a `Socket`
is one client.
"""

from happy.gateway.engine.application import Application, Refused
from happy.gateway.engine.packets import encode_event, encode_event_at
from happy.gateway.engine.path_prefix import PathPrefix
from happy.gateway.engine.reasons import GOODBYE, OVERFLOW
from happy.gateway.engine.server import Server
from happy.gateway.engine.settings import EngineSettings
from happy.gateway.engine.socket import Ack, Socket, SocketClosed

__all__ = [
    "GOODBYE",
    "OVERFLOW",
    "Ack",
    "Application",
    "EngineSettings",
    "PathPrefix",
    "Refused",
    "Server",
    "Socket",
    "SocketClosed",
    "encode_event",
    "encode_event_at",
]
