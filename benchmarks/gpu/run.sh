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
wheels="${EDGEKD_GPU_CARRIED:-$here/carried}/wheels"
if [ -d "$wheels" ] && [ -n "${1:-}" ]; then  # Of prepare.sh --wheels: what this Python lacks.
    "$PYTHON" -m pip install -q --no-index --no-deps --target "$1/work/site" "$wheels"/*.whl
    export PYTHONPATH="$PYTHONPATH:$1/work/site"
fi
exec "$PYTHON" -m gpu_script "$@"
