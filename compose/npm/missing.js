"use strict";
// Runs instead of a server that was not found, so that the launcher shows this.
const { findPython } = require("./index.js");

const python = findPython();
const lines = process.env.HAPPY_SERVER_PROGRAM
  ? [`happy-server was not found: there is no ${process.env.HAPPY_SERVER_PROGRAM} (HAPPY_SERVER_PROGRAM).`]
  : [
      "happy-server was not found in PATH, in ~/.local/bin, or in a Python in PATH.",
      python
        ? `There is Python, at ${python}. Install the server with:  pipx install happy_server-VERSION-py3-none-any.whl`
        : "It needs Python 3.11 or newer, which was not found either: install that first (https://www.python.org).",
      "HAPPY_SERVER_PROGRAM=/path/to/happy-server names a program elsewhere;",
      "HAPPY_SERVER_PACKAGE=WHEEL lets uvx or pipx run it without installing it.",
    ];
console.error(lines.join("\n"));
process.exitCode = 1;
