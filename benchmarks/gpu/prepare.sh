#!/usr/bin/env bash
# Puts what run.sh needs at hand into benchmarks/gpu/carried: see README.md beside this file.
#   bash benchmarks/gpu/prepare.sh DATA [--category NAME]
set -u
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
PYTHON="${PYTHON:-$root/.venv/bin/python}"
if [ ! -x "$PYTHON" ]; then
    echo "prepare.sh: $PYTHON is missing: run make setup first" >&2
    exit 3
fi
export PYTHONPATH="$root:$here${PYTHONPATH:+:$PYTHONPATH}"
exec "$PYTHON" -m gpu_script.prepare "$@"
