"""Files of weights: safetensors, torch's own, checkpoints; damaged, or made to hold what no network needs."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from edgekd.errors import EdgekdError
from tests.fuzz.case import Case, Target
from tests.fuzz.documents import mutated_document
from tests.fuzz.mutations import Draw, mutated, mutated_zip


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


@functools.cache
def _state() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return dict(small_network().state_dict())


@functools.cache
def valid_safetensors() -> tuple[bytes, ...]:
    from safetensors.numpy import save

    state = {key: value.numpy() for key, value in _state().items()}
    halves = {key: value.astype(np.float16) if value.ndim else value for key, value in state.items()}
    return save(state, {"system": "hkt"}), save(halves), save({})


def _header(data: bytes) -> Any:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


@st.composite
def safetensors_cases(draw: Draw) -> Case:
    if draw(st.booleans()):
        data = draw(mutated(valid_safetensors()))
    else:  # A header that is JSON, and says something else.
        whole = valid_safetensors()[0]
        length = int.from_bytes(whole[:8], "little")
        header = json.dumps(draw(mutated_document(_header(whole)))).encode("ascii")
        data = len(header).to_bytes(8, "little") + header + whole[8 + length :]
    return Case({"weights.safetensors": data})


def _read_and_put(path: Path) -> None:
    from edgekd.training.weight_files import put_weights, read_weights

    network = small_network()
    put_weights(network, read_weights(path), path.name, "the network")
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 8, 8))


def run_safetensors(values: Mapping[str, Any], folder: Path) -> None:
    _read_and_put(folder / "weights.safetensors")


def _saved(content: Any, **options: Any) -> bytes:
    packed = io.BytesIO()
    torch.save(content, packed, **options)
    return packed.getvalue()


def _odd_tensors() -> dict[str, Any]:
    """Tensors that a state dict has no use for, by name."""
    weight = _state()["0.weight"]
    tensors: dict[str, Any] = {
        "sparse": torch.zeros(4, 3, 3, 3).to_sparse(),
        "sparse_csr": torch.zeros(4, 3).to_sparse_csr(),
        "meta": torch.zeros(4, 3, 3, 3, device="meta"),
        "complex": weight.to(torch.complex64),
        "integer": weight.to(torch.int64),
        "bool": weight > 0,
        "double": weight.double(),
        "bfloat16": weight.bfloat16(),
        "float8": weight.to(torch.float8_e4m3fn),
        "expanded": torch.zeros(1).expand(4, 3, 3, 3),
        "expanded_hugely": torch.zeros(1).expand(1 << 20, 1 << 15),
        "huge_meta": torch.empty(1 << 20, 1 << 20, device="meta"),
        "strided": torch.as_strided(torch.zeros(200), (4, 3, 3, 3), (1, 1, 1, 1)),
        "conjugate": weight.to(torch.complex64).conj(),
        "parameter": nn.Parameter(weight),
        "requires_grad": weight.clone().requires_grad_(),
        "empty": torch.empty(0),
        "scalar": torch.tensor(1.0),
        "nan": torch.full((4, 3, 3, 3), float("nan")),
    }
    with np.errstate(all="ignore"):
        for name, make in (
            ("quantized", lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)),
            ("nested", lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])),
            ("jagged", lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged)),
        ):
            try:
                tensors[name] = make()
            except Exception:  # Not in every version of torch.
                continue
    return tensors


@functools.cache
def valid_pth() -> dict[str, bytes]:
    """Files that torch writes, by what is odd about them."""
    import warnings

    state = _state()
    files = {"whole": _saved(state), "legacy": _saved(state, _use_new_zipfile_serialization=False)}
    files["nested_dict"] = _saved({"model": state})
    files["list"] = _saved(list(state.values()))
    files["tensor"] = _saved(state["0.weight"])
    files["other_keys"] = _saved({0: state["0.weight"], None: state["0.bias"]})
    files["module"] = _saved(small_network())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, tensor in _odd_tensors().items():
            try:
                files[name] = _saved({**state, "0.weight": tensor})
            except Exception:  # Some cannot be saved.
                continue
    return files


@st.composite
def pth_cases(draw: Draw) -> Case:
    files = valid_pth()
    name = draw(st.sampled_from(("whole", "legacy", *files)))
    how = draw(st.sampled_from(("as it is", "mutated", "members", "compressed")))
    data = files[name]
    if how == "mutated" or (how in ("members", "compressed") and name == "legacy"):
        data = draw(mutated([data]))
    elif how in ("members", "compressed"):
        data = draw(mutated_zip(data, how == "compressed"))
    return Case({"weights.pth": data}, {"odd": name})


def run_pth(values: Mapping[str, Any], folder: Path) -> None:
    _read_and_put(folder / "weights.pth")


@functools.cache
def valid_checkpoint() -> bytes:
    network = small_network()
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return _saved({"iteration": 7, "module": network.state_dict(), "optimizer": optimizer.state_dict()})


@st.composite
def checkpoint_cases(draw: Draw) -> Case:
    odd = draw(st.sampled_from((None, None, *sorted(_odd_tensors()))))
    data = valid_checkpoint()
    if odd is not None:
        content = torch.load(io.BytesIO(data), weights_only=True)
        content["module"]["0.weight"] = _odd_tensors()[odd]
        try:
            data = _saved(content)
        except Exception:
            data = valid_checkpoint()
    how = draw(st.sampled_from(("as it is", "mutated", "members")))
    if how == "mutated":
        data = draw(mutated([data]))
    elif how == "members":
        data = draw(mutated_zip(data))
    return Case({"checkpoint.pt": data})


def run_checkpoint(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd.training.checkpoints import iterations_done, load_checkpoint

    path = folder / "checkpoint.pt"
    network = small_network()
    with contextlib.suppress(EdgekdError):
        iterations_done(path)
    load_checkpoint(path, network, torch.optim.Adam(network.parameters()))


TARGETS = (
    Target("safetensors", "training/weight_files.py", lambda seeds: safetensors_cases(), run_safetensors),
    Target("pth", "training/weight_files.py", lambda seeds: pth_cases(), run_pth, smoke=30),
    Target("checkpoints", "training/loop.py", lambda seeds: checkpoint_cases(), run_checkpoint),
)
