// The yardstick of tests/bench/yardstick.py: the calls and the fan-out of this server, on socket.io from npm.
// node relay.mjs <folder with node_modules> prints its port.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { Server } = createRequire(process.argv[2] + "/package.json")("socket.io");
const http = createServer();
const io = new Server(http, { path: "/v1/updates/", transports: ["websocket"], pingInterval: 15_000, pingTimeout: 45_000 });
const serving = new Map();

io.on("connection", (socket) => {
  socket.join(socket.handshake.auth.clientType);
  socket.on("rpc-register", ({ method }) => {
    serving.set(method, socket);
    socket.emit("rpc-registered", { method });
  });
  socket.on("rpc-call", ({ method, params }, acknowledge) => {
    serving.get(method).timeout(30_000).emit("rpc-request", { method, params }, (error, result) => {
      acknowledge(error ? { ok: false, error: error.message } : { ok: true, result });
    });
  });
  socket.on("session-alive", ({ sid, time, thinking }) => {
    io.to("user-scoped").emit("ephemeral", { type: "activity", id: sid, active: true, activeAt: time, thinking });
  });
});

http.listen(0, "127.0.0.1", () => console.log(http.address().port));
