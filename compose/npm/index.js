"use strict";
// Finds the program `happy-server`, or a Python that has it. `happy server` runs what resolveServerArtifact()
// names as `<command> <prefixArgs> migrate`, then `... serve`.
const { spawnSync } = require("node:child_process");
const { existsSync } = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const PYTHONS = ["python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"];
const IS_NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 11))";
const HAS_SERVER = "import sys; sys.version_info >= (3, 11) or sys.exit(1); import happy.cli.main";
const OURS = /^happy-server \d/;

function succeeds(command, args) {
  return spawnSync(command, args, { cwd: __dirname, stdio: "ignore" }).status === 0;
}

// Every program of these names in PATH and where pipx puts programs, in that order.
function* programs(names) {
  const folders = (process.env.PATH || "").split(path.delimiter).filter(path.isAbsolute);
  folders.push(path.join(os.homedir(), ".local", "bin"));
  for (const name of names) {
    for (const folder of folders) {
      const file = path.join(folder, name);
      if (existsSync(file)) yield file;
    }
  }
}

// Other servers of this protocol have programs of this name, too.
function isOurs(program) {
  const said = spawnSync(program, ["--version"], { cwd: __dirname, encoding: "utf8" });
  return said.status === 0 && OURS.test(said.stdout);
}

// { command, prefixArgs }, or undefined when there is none.
function findServer() {
  const chosen = process.env.HAPPY_SERVER_PROGRAM;
  if (chosen) return existsSync(chosen) ? { command: path.resolve(chosen), prefixArgs: [] } : undefined;
  for (const program of programs(["happy-server"])) {
    if (isOurs(program)) return { command: program, prefixArgs: [] };
  }
  for (const python of programs(PYTHONS)) {
    if (succeeds(python, ["-c", HAS_SERVER])) return { command: python, prefixArgs: ["-m", "happy"] };
  }
  // Only what was named is downloaded: a wheel, or a requirement such as happy-server==0.1.0.
  const wanted = process.env.HAPPY_SERVER_PACKAGE;
  for (const uvx of wanted ? programs(["uvx"]) : []) {
    return { command: uvx, prefixArgs: ["--from", wanted, "happy-server"] };
  }
  for (const pipx of wanted ? programs(["pipx"]) : []) {
    return { command: pipx, prefixArgs: ["run", "--spec", wanted, "happy-server"] };
  }
  return undefined;
}

function findPython() {
  for (const python of programs(PYTHONS)) {
    if (succeeds(python, ["-c", IS_NEW_ENOUGH])) return python;
  }
  return undefined;
}

// The working folder is this one: the server would read settings from a file .env where it starts.
function resolveServerArtifact() {
  const found = findServer() || { command: process.execPath, prefixArgs: [path.join(__dirname, "missing.js")] };
  return { ...found, cwd: __dirname, bundled: false };
}

module.exports = { findPython, resolveServerArtifact };
