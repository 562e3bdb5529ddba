import json

from ..run_command import main


def test_the_overview_and_each_help_page_print(capsys):
    assert main([]) == 0
    assert "inspect" in capsys.readouterr().out
    for name in (
        "models",
        "teachers",
        "distill",
        "train",
        "export",
        "build",
        "bench",
        "evaluate",
        "inspect",
        "sign",
        "doctor",
        "demo",
    ):
        assert main([name, "--help"]) == 0
        assert f"edgekd {name}" in capsys.readouterr().out


def test_an_untrained_system_exports_and_says_that_it_is_untrained(tmp_path, capsys):
    output = tmp_path / "hkt.onnx"
    assert main(["export", "hkt", "--size", "64", "--output", str(output)]) == 0
    assert "untrained" in capsys.readouterr().err
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["trained"] is False
    assert manifest["threshold"] is None
