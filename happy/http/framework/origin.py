"""The client of an HTTP request, and the URL under which it reaches this server."""

from happy.domain.client_address import ClientAddress
from happy.http.framework.asgi import Scope
from happy.services.client_addresses import ClientAddresses


def client(scope: Scope, addresses: ClientAddresses) -> ClientAddress:
    """The address of the client, also behind trusted proxies."""
    return addresses.of(_peer(scope), scope["headers"])


def origin(scope: Scope, addresses: ClientAddresses) -> str:
    """The configured URL, or that of the request (protocol: http#post-attachmentsrequest-upload)."""
    _, port = scope.get("server") or ("", None)
    return addresses.origin(_peer(scope), scope["headers"], port or 3005)


def _peer(scope: Scope) -> str:
    """The IP address of the connection's peer; empty for a Unix domain socket."""
    peer = scope.get("client")
    return str(peer[0]) if peer else ""
