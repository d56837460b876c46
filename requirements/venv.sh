#!/bin/sh
# Make the virtual environment of this checkout ($1) with the first Python that is new enough and really runs.
# PYTHON=/path/to/python chooses one by hand.
set -eu

lacks_venv=
for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    # Run it rather than look for it: version managers leave launchers behind for versions that are not there.
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
    if ! "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        lacks_venv=$candidate
        continue
    fi
    rm -rf "$1"
    if ! problem=$("$candidate" -m venv "$1" 2>&1); then
        rm -rf "$1"
        echo "happy-server: $candidate could not create $1: $(printf %s "$problem" | tail -n 1)" >&2
        exit 1
    fi
    exit 0
done

if [ -n "$lacks_venv" ]; then
    echo "happy-server: $lacks_venv cannot make virtual environments; on Debian or Ubuntu: sudo apt install python3-venv" >&2
else
    echo "happy-server: needs Python 3.11 or newer, tried: ${PYTHON:-python3.13 python3.12 python3.11 python3} (set PYTHON=/path/to/python)" >&2
fi
exit 1
