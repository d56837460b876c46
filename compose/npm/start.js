#!/usr/bin/env node
"use strict";
// The program by itself: `npx happy-server-self-host serve`.
const { spawn } = require("node:child_process");
const { resolveServerArtifact } = require("./index.js");

const server = resolveServerArtifact();
const child = spawn(server.command, [...server.prefixArgs, ...process.argv.slice(2)], {
  cwd: server.cwd,
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
