"""Files of torch that ask for more than weights, and what refuses them: each is made here and read as a teacher."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict

import pytest
import torch

from edgekd.errors import ArtifactError
from edgekd.models.backbones.pdn import pdn
from edgekd.models.backbones.resnet import ResNet
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.teachers.store import import_teacher
from edgekd.training.weight_files import read_weights


def saved(path, state, **options):
    torch.save(state, path, **options)
    return path


@pytest.fixture(scope="module")
def whole():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return pdn("pdn_small").state_dict()


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        (lambda: torch.eye(4).to_sparse(), "a sparse tensor"),
        (lambda: torch.eye(4).to_sparse_csr(), "a sparse tensor"),
        (lambda: torch.quantize_per_tensor(torch.eye(4), 0.1, 0, torch.qint8), "a quantized tensor"),
        (lambda: torch.nested.nested_tensor([torch.eye(2), torch.eye(3)]), "a nested tensor"),
        (lambda: torch.empty(4, 4, device="meta"), r"a tensor without numbers \(meta\)"),
        (lambda: torch.eye(4).to(torch.complex64), "complex numbers"),
        (lambda: torch.eye(4).to(torch.complex64).conj(), "complex numbers"),
        (lambda: torch.eye(4).to(torch.int8), "integers"),
        (lambda: torch.eye(4).to(torch.int64), "0.weight in integers"),
        (lambda: torch.eye(4).to(torch.float8_e4m3fn), "torch"),
        (lambda: torch.nn.Linear(2, 2), "(torch.nn|more than tensors)"),
        (lambda: torch.ones(1).expand(1 << 30), "stride tricks"),
        (lambda: torch.ones(3).as_strided((2, 2), (1, 1)), "stride tricks"),
    ],
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_not_a_dense_tensor_of_floating_point_is_refused_by_name(tmp_path, tensor, what, zipped):
    if not zipped and "float8" in repr(tensor()):
        pytest.skip("torch writes no float8 in its old format")
    path = saved(tmp_path / "t.pth", {"0.weight": tensor()}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ArtifactError, match=f"{path} was refused: it holds .*{what}") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_people_save_is_read_as_torch_reads_it(tmp_path, whole, zipped):
    """Views, channels last, half precision, parameters and counts of batch norm are ordinary."""
    state = OrderedDict(whole)
    state["view"] = torch.arange(24.0).reshape(2, 3, 4)[1]
    state["turned"] = torch.arange(6.0).reshape(2, 3).T
    state["last"] = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state["half"], state["bfloat"], state["double"] = (
        torch.ones(3).half(),
        torch.ones(3).bfloat16(),
        torch.ones(3).double(),
    )
    state["parameter"] = torch.nn.Parameter(torch.randn(3))
    state["scalar"], state["empty"] = torch.tensor(1.5), torch.zeros(0, 3)
    state["norm.num_batches_tracked"] = torch.tensor(7)
    path = saved(tmp_path / "t.pth", state, _use_new_zipfile_serialization=zipped)
    read, known = read_weights(path), torch.load(path, weights_only=True)
    assert read.keys() == known.keys()
    for name, value in known.items():
        assert torch.equal(read[name], value.detach().float() if value.is_floating_point() else value), name
        assert not read[name].requires_grad


def test_a_whole_backbone_in_both_formats_is_the_same(tmp_path):
    state = ResNet("resnet18").state_dict()
    first = read_weights(saved(tmp_path / "new.pth", state))
    second = read_weights(saved(tmp_path / "old.pth", state, _use_new_zipfile_serialization=False))
    assert first.keys() == second.keys() == state.keys()
    assert all(torch.equal(first[name], state[name]) and torch.equal(second[name], state[name]) for name in state)


def storage_pickle(numel, shape, stride, offset=0):
    """The pickle of a state dict with one tensor, as torch writes it, with numbers of one's own choice."""

    class Storage:
        def __init__(self):
            self.key = "0"

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), offset, shape, stride, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if isinstance(thing, Storage) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"0.weight": Tensor()})
    return buffer.getvalue()


def archive(path, pickled, numbers, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("t/data.pkl", pickled)
        file.writestr("t/data/0", numbers)
        file.writestr("t/version", b"3\n")
    return path


@pytest.mark.parametrize(
    ("numel", "shape", "stride", "offset", "complaint"),
    [
        (1 << 30, (1 << 30,), (1,), 0, "declares tensors of 4294967296 bytes"),
        (1, (1 << 30,), (0,), 0, "stride tricks"),
        (1, (1 << 30,), (1,), 0, "reaches beyond the 1 numbers"),
        (1, (1,), (1,), 5, "reaches beyond the 1 numbers"),
        (1, (-1,), (1,), 0, "no proper shape"),
        (1, (1.5,), (1,), 0, "no proper shape"),
        (1, (1,) * 9, (1,) * 9, 0, "9 dimensions"),
        (2, (2,), (1,), 0, "holds 4 bytes where it declares 2 numbers"),
    ],
)
def test_a_tensor_that_claims_more_than_its_numbers_is_refused(tmp_path, numel, shape, stride, offset, complaint):
    path = archive(tmp_path / "t.pth", storage_pickle(numel, shape, stride, offset), struct.pack("<f", 1))
    with pytest.raises(ArtifactError, match=complaint):
        read_weights(path)


def test_many_names_for_the_same_numbers_are_not_copied_for_each(tmp_path):
    shared = torch.zeros(1000)
    path = saved(tmp_path / "t.pth", {f"{index}.weight": shared for index in range(1000)})
    with pytest.raises(ArtifactError, match="declares tensors of 4000000 bytes in a file of"):
        read_weights(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = archive(tmp_path / "t.pth", storage_pickle(1 << 26, (1 << 26,), (1,)), bytes(1 << 28), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 19
    with pytest.raises(ArtifactError, match=r"unpacks .* bytes to .*, and torch.save does not compress"):
        read_weights(path)


def test_records_that_lie_over_each_other_are_refused(tmp_path):
    """A stored record that many names share: the sizes add up to more than the file."""
    path = archive(tmp_path / "t.pth", storage_pickle(250, (250,), (1,)), bytes(1000))
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    directory, length = struct.unpack_from("<I", content, end + 16)[0], struct.unpack_from("<I", content, end + 12)[0]
    entries = bytes(content[directory : directory + length])
    one = entries[entries.index(b"PK\x01\x02", 4) :][: 46 + len("t/data/0")]
    more = b"".join(one.replace(b"t/data/0", f"t/data/{index}".encode()) for index in range(1, 10))
    counts = struct.pack("<HHII", 12, 12, length + len(more), directory)
    path.write_bytes(content[: directory + length] + more + content[end : end + 8] + counts + b"\0\0")
    with pytest.raises(ArtifactError, match=r"unpacks|damaged"):
        read_weights(path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",  # Room for 2^31 objects: 16 GB in CPython, of nine bytes.
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 32) + b".",  # A bytearray of 4 GB.
        b"\x80\x02ctorch\nFloatStorage\n}\x86b.",  # Changes a global.
        b"cos\nsystem\n(S'touch made'\ntR.",
        b"\x80\x02" + b"}" * (1 << 20) + b".",  # Longer than any that torch writes for weights.
    ],
)
def test_a_pickle_that_claims_memory_or_reaches_out_is_refused(tmp_path, pickled):
    for path in (tmp_path / "bare.pth", archive(tmp_path / "zipped.pth", pickled, b"")):
        if not path.exists():
            path.write_bytes(pickled)
        with pytest.raises(ArtifactError, match="was refused: it "):
            read_weights(path)


def test_a_file_much_larger_than_its_network_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "store"))
    path = tmp_path / "teacher_small.pth"
    with path.open("wb") as file:
        file.truncate(1 << 33)  # A hole: it takes no room on the disk.
    with pytest.raises(ArtifactError, match="has 8589934592 bytes, and what it is for needs"):
        import_teacher(path)
    with pytest.raises(ArtifactError, match="has 8589934592 bytes"):
        load_teacher(str(path))


def test_shapes_that_are_not_the_networks_are_refused_before_a_tensor_is_made(tmp_path, whole, monkeypatch):
    path = saved(tmp_path / "teacher_small.pth", {**whole, "0.weight": torch.zeros(128, 3, 5, 5)})
    monkeypatch.setattr(torch, "frombuffer", lambda *_, **__: pytest.fail("a tensor was made"))
    with pytest.raises(ArtifactError, match=r"0.weight is \(128, 3, 5, 5\) where pdn_small has \(128, 3, 4, 4\)"):
        import_teacher(path)


MEASURED = """
import resource, sys
from pathlib import Path
from edgekd.errors import ArtifactError
from edgekd.training.weight_files import read_weights
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        read_weights(Path(name))
    except ArtifactError:
        continue
    sys.exit(f"{name} was read")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_refused_files_take_no_memory(tmp_path):
    files = [
        saved(tmp_path / "expanded.pth", {"0.weight": torch.ones(1).expand(1 << 30)}),
        saved(tmp_path / "old.pth", {"w": torch.ones(1).expand(1 << 30)}, _use_new_zipfile_serialization=False),
        archive(tmp_path / "claims.pth", storage_pickle(1 << 30, (1 << 30,), (1,)), b"\0\0\0\0"),
        archive(tmp_path / "bomb.pth", storage_pickle(1 << 26, (1 << 26,), (1,)), bytes(1 << 28), zipfile.ZIP_DEFLATED),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50  # MiB.
