"""`edgekd doctor`: what this machine has and which back ends work."""

import json

from edgekd.machine.diagnosis import diagnose

from ..run_command import main


def test_doctor_says_what_works_here(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "onnxruntime" in said
    assert "cores usable" in said
    assert "INT8 instructions" in said


def test_doctor_writes_json_to_a_file_and_to_standard_output(tmp_path, capsys):
    file = tmp_path / "doctor.json"
    assert main(["doctor", "--json", str(file)]) == 0
    capsys.readouterr()
    assert main(["doctor", "--json", "-"]) == 0
    for content in (json.loads(file.read_text()), json.loads(capsys.readouterr().out)):
        backends = {backend["name"]: backend for backend in content["backends"]}
        assert backends["onnxruntime"]["usable"] is True
        assert backends["onnxruntime"]["version"] == content["machine"]["packages"]["onnxruntime"]
        assert (content["cuda"]["device"] is None) == (content["cuda"]["why_not"] is not None)
        assert {"cpu", "gpu", "l4t", "jetpack", "memory_bytes", "free_disk_bytes"} <= set(content["machine"])


def test_doctor_leaves_with_3_where_nothing_works(tmp_path, monkeypatch, capsys):
    for module in ("openvino", "onnxruntime", "tensorrt", "tensorrt_rtx"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('damaged')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(["doctor"]) == 3
    said = capsys.readouterr()
    assert said.out.count("damaged") >= 2
    assert "no back end works on this machine" in said.err
    assert "pip install openvino" in said.out


def test_doctor_is_a_command_with_a_help_page(capsys):
    assert main(["doctor", "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_the_command_and_the_function_give_the_same_answer(capsys):
    assert main(["doctor", "--json", "-"]) == 0
    printed = capsys.readouterr()
    command, function = json.loads(printed.out), json.loads(json.dumps(diagnose().to_dict()))
    for content in (command, function):
        assert content["machine"].pop("free_disk_bytes") > 0
    assert command == function
    total = len(command["backends"])
    assert f"trying the back ends: {total} of {total}" in printed.err
