#!/bin/sh
# Makes an environment for each peer, so that none changes another's packages: benchmarks/peers/.environments/PEER.
# May be run again; what is there is kept. PYTHON names the interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$(dirname "$here")")
for peer in torch_eager plain_onnx benchmark_app anomalib; do
    environment=$here/.environments/$peer
    if [ -e "$environment/.ready" ]; then continue; fi
    echo "$peer: installing"
    "${PYTHON:-python3}" -m venv "$environment"
    # A PyPI torch brings CUDA along; the versions of edgekd's own environment do not have to be downloaded twice.
    (cd "$repository" && "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --requirement "$here/requirements/$peer.txt")
    touch "$environment/.ready"
done
