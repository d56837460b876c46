// A reverse proxy as small ones are: what arrives together with the 101 of a websocket is lost.
// node losing_proxy.mjs <port to listen on> <port of the server>
import http from "node:http";

const [port, target] = process.argv.slice(2).map(Number);
const forward = ({ method, url, headers }) => http.request({ host: "127.0.0.1", port: target, method, path: url, headers });

const proxy = http.createServer((request, response) => {
  const out = forward(request).on("error", () => response.destroy());
  out.on("response", (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  request.pipe(out);
});

proxy.on("upgrade", (request, socket) => {
  const out = forward(request).on("error", () => socket.destroy());
  out.on("upgrade", (answer, upstream) => {
    const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(["HTTP/1.1 101 Switching Protocols", ...lines, "", ""].join("\r\n"));
    for (const [from, to] of [[upstream, socket], [socket, upstream]]) from.pipe(to).on("error", () => from.destroy());
  });
  out.end();
});

proxy.listen(port, "127.0.0.1");
