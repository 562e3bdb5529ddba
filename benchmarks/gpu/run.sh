#!/usr/bin/env bash
# Everything that wants a GPU, in one go: see README.md beside this file.
#   bash benchmarks/gpu/run.sh OUT [MINUTES] [--device cuda|cpu] [--iterations N] [--only PART...]
set -u
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
if [ -z "${PYTHON:-}" ]; then
    if [ -x "$root/.venv/bin/python" ]; then PYTHON="$root/.venv/bin/python"; else PYTHON=python3; fi
fi
export PYTHONPATH="$root:$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec "$PYTHON" -m gpu_script "$@"
