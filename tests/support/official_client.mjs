// Drives the official socket.io-client for tests/support/official_client.py: JSON lines in, JSON lines out.
// In:  {id, op, socket, ...} with op one of open, emit, call, answer, close, drop, aim, reconnect.
// Out: {id, value} or {id, error} per command, and as they happen {socket, event, args} and {socket, life, ...}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2] + "/package.json");
const { io } = require("socket.io-client");
const sockets = new Map();

// Bytes travel through JSON as {"$bytes": "<base64>"}.
const revive = (_, value) =>
  value && typeof value === "object" && "$bytes" in value ? Buffer.from(value.$bytes, "base64") : value;
const send = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function open({ id, socket: name, url, options }) {
  const socket = io(url, { forceNew: true, ...options });
  sockets.set(name, { socket, answers: new Map() });
  const life = (kind, detail) => send({ socket: name, life: kind, detail });
  let answered = false;
  socket.on("connect", () => {
    const value = { id: socket.id, transport: socket.io.engine.transport.name, recovered: Boolean(socket.recovered) };
    if (!answered) send({ id, value });
    else life("connect", value);
    answered = true;
  });
  socket.io.on("open", () => socket.io.engine.on("upgrade", (to) => life("upgrade", { transport: to.name })));
  socket.on("connect_error", (error) => {
    if (!answered) send({ id, error: error.message, active: socket.active });
    else life("connect_error", { message: error.message, active: socket.active });
    answered = true;
  });
  socket.on("disconnect", (reason) => life("disconnect", { reason, active: socket.active }));
  socket.onAny((event, ...args) => {
    const acknowledge = typeof args.at(-1) === "function" ? args.pop() : null;
    send({ socket: name, event, args });
    if (acknowledge) answerWith(name, event, args, acknowledge);
  });
}

// How to answer an event with an acknowledgement: {value}, {echo: true}, {none: true}; {delay} in ms; absent: never.
function answerWith(name, event, args, acknowledge) {
  const how = sockets.get(name)?.answers.get(event);
  if (!how) return;
  const answer = () => (how.none ? acknowledge() : acknowledge(how.echo ? args[0] : how.value));
  if (how.delay) setTimeout(answer, how.delay);
  else answer();
}

async function call({ id, socket: name, event, args, timeout }) {
  try {
    const value = await asked(sockets.get(name).socket, event, args, timeout);
    send({ id, socket: name, ack: event, value: value === undefined ? null : value });
  } catch (error) {
    send({ id, error: error.message });
  }
}

function asked(socket, event, args, timeout) {
  if (socket.emitWithAck) return socket.timeout(timeout).emitWithAck(event, ...args);
  return new Promise((resolve, reject) => {
    // The oldest client has neither time-outs nor promises.
    setTimeout(() => reject(new Error("operation has timed out")), timeout).unref();
    socket.emit(event, ...args, resolve);
  });
}

function run(command) {
  const known = sockets.get(command.socket);
  if (command.op === "open") return open(command);
  if (command.op === "call") return void call(command);
  if (command.op === "emit") known.socket.emit(command.event, ...command.args);
  else if (command.op === "answer") known.answers.set(command.event, command.how);
  else if (command.op === "close") known?.socket.disconnect();
  else if (command.op === "drop") known.socket.io.engine.close();
  else if (command.op === "aim") known.socket.io.uri = command.url;
  else if (command.op === "reconnect") known.socket.connect();
  const socket = known?.socket;
  send({ id: command.id, value: { connected: socket?.connected, transport: socket?.io.engine?.transport?.name } });
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line, revive);
  try {
    run(command);
  } catch (error) {
    send({ id: command.id, error: String(error) });
  }
});
process.stdin.on("end", () => process.exit(0));
