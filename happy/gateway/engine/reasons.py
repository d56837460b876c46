"""Why connections and sockets end: given to the application, and labels of the metric."""

CROWDED = "too many connections"  # of its address, or in all
GOODBYE = "client namespace disconnect"  # the client wanted it: it sent a Socket.IO DISCONNECT packet
CONNECT_TIMEOUT = "connect timeout"  # no CONNECT packet, or none that was accepted, for too long
OVERFLOW = "send queue overflow"  # the client reads too slowly
PARSE_ERROR = "parse error"  # the client broke the protocol of Engine.IO or Socket.IO
PING_TIMEOUT = "ping timeout"
SERVER_CLOSE = "server close"  # the application closed the socket
SERVER_ERROR = "server error"  # the application failed while the socket connected
SHUTDOWN = "server shutting down"
TRANSPORT_CLOSE = "transport close"  # the websocket closed, or the client sent a close packet
TRANSPORT_ERROR = "transport error"  # an HTTP request of polling was cut off, too large, or one too many
