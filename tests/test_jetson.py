"""The files for a Jetson: whether they are whole, and whether what they call is there."""

import configparser
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import edgekd
from edgekd.artifact import manifest_path, read_manifest
from edgekd.cli.group import COMMANDS
from edgekd.machine.jetpack import RELEASES

JETSON = Path(__file__).parents[1] / "jetson"
INSTALL = JETSON / "install.sh"
BASH = shutil.which("bash")
EDGEKD = "/opt/edgekd/venv/bin/edgekd"
MAIN = "import sys; from edgekd.cli.main import main; sys.exit(main())"
BUILDS = ("ExecStartPre", "build", "BUILD_OPTIONS")
pytestmark = pytest.mark.skipif(BASH is None, reason="no bash")


def call(function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one function of the install script."""
    command = f'source "{INSTALL}"; {function} {shlex.join(arguments)}'
    return subprocess.run([BASH, "-c", command], capture_output=True, text=True, check=False)


@pytest.fixture
def service():
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#", strict=False)
    parser.optionxform = str
    text = (JETSON / "edgekd-inspect.service").read_text()
    names = [line.partition("=")[0] for line in text.splitlines() if re.match("[A-Z]", line)]
    # A later line takes the place of an earlier one; of calls it takes some from the list.
    assert {name for name in names if names.count(name) > 1} == {"SystemCallFilter"}
    parser.read_string(text)
    return parser


def test_the_install_script_parses():
    subprocess.run([BASH, "-n", str(INSTALL)], check=True)
    assert os.access(INSTALL, os.X_OK)


@pytest.mark.parametrize("known", RELEASES, ids=lambda known: known.l4t)
def test_the_install_script_and_the_table_of_releases_agree(known):
    printed = call("choose_versions", known.l4t)
    assert (printed.returncode == 0) == known.is_supported
    if known.is_supported:
        python, bindings = printed.stdout.split()
        assert python == known.python
        assert bindings.startswith(f"cuda-bindings=={known.cuda.partition('.')[0]}.")
    else:
        assert printed.returncode == 3
        assert "install JetPack 6.1 or newer" in printed.stderr


def test_the_install_script_reads_the_release(tmp_path):
    release = tmp_path / "nv_tegra_release"
    release.write_text(
        "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, DATE: Thu Sep 18\n"
    )
    assert call("read_l4t", str(release)).stdout == "36.4.7\n"
    release.write_text("Ubuntu 22.04\n")
    printed = call("read_l4t", str(release))
    assert printed.returncode == 3
    assert "does not begin with an L4T release" in printed.stderr


@pytest.mark.skipif(Path("/etc/nv_tegra_release").exists(), reason="this is a Jetson")
def test_the_install_script_changes_nothing_where_there_is_no_jetson():
    printed = subprocess.run([BASH, str(INSTALL)], capture_output=True, text=True, check=False)
    assert (printed.returncode, printed.stdout) == (3, "")
    assert "this is no Jetson" in printed.stderr
    assert printed.stderr.count("\n") == 1


def shell_line(service, name):
    """What a service gives to its shell, as the shell reads it."""
    shell, option, line = shlex.split(service["Service"][name])
    assert (shell, option) == ("/bin/sh", "-c")
    return line.replace("$$", "$").replace("%%", "%")


def parse(command, words):
    """Parses the options of a command as the command line does; raises what it would report."""
    module = importlib.import_module(f"edgekd.cli.{command}")
    typer.main.get_command(module.app).make_context(command, words)


@pytest.mark.parametrize(("name", "command", "options"), [("ExecStart", "inspect", "OPTIONS"), BUILDS])
def test_the_service_calls_a_command_that_there_is_with_options_that_it_takes(service, name, command, options):
    line = shell_line(service, name)
    subprocess.run([BASH, "-n", "-c", line], check=True)
    words = shlex.split(line.partition("exec ")[2])
    assert words[0] == EDGEKD
    assert "PREFIX=/opt/edgekd\n" in INSTALL.read_text()
    assert words[1] == command
    assert command in COMMANDS
    more = shlex.split(settings()[options])
    parse(command, [*words[2:-1], *more])
    assert words[-1] == f"${options}"
    with pytest.raises(typer.TyperException, match="--no-such-option"):
        parse(command, [*words[2:-1], "--no-such-option"])


def settings():
    """The settings that come with the service."""
    lines = (JETSON / "inspect.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_service_builds_the_engine_once_and_again_after_a_change(service, exported, tmp_path):
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    engine = tmp_path / "line.engine"
    line = shell_line(service, "ExecStartPre").replace(EDGEKD, f"{shlex.quote(sys.executable)} -c {shlex.quote(MAIN)}")
    root = str(Path(edgekd.__file__).parents[1])
    given = {"GRAPH": str(tmp_path / exported.name), "ENGINE": str(engine), "BUILD_OPTIONS": "--backend openvino"}

    def start(**changes):
        environment = os.environ | {"PYTHONPATH": root} | given | changes
        return subprocess.run(
            ["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert start(GRAPH="") == ""
    assert not engine.exists()
    assert f"wrote {engine}: " in start()
    assert start() == f"{engine} fits this machine: nothing to do\n"
    engine.write_bytes(b"damaged")
    assert f"wrote {engine}: " in start()
    assert read_manifest(engine)["verified"] is not None


def test_a_build_has_the_time_that_it_takes(service):
    assert int(service["Service"]["TimeoutStartSec"]) >= 1800


def test_the_service_ends_well_and_is_watched(service):
    section = service["Service"]
    assert (section["Type"], section["Restart"]) == ("notify", "always")
    assert int(section["WatchdogSec"]) > 0
    assert int(service["Unit"]["StartLimitBurst"]) * int(section["RestartSec"]) < int(
        service["Unit"]["StartLimitIntervalSec"]
    )  # Else the limit is never reached.
    # SIGTERM is what systemd sends where nothing else is asked for; see tests/cli/test_signals.py for what it does.
    assert ("KillSignal" in section, section["SuccessExitStatus"]) == (False, "143")


def test_the_service_keeps_images_from_others_and_its_memory_within_limits(service):
    section = service["Service"]
    assert int(section["UMask"], 8) & 0o007 == 0o007
    assert section["StateDirectoryMode"] == section["CacheDirectoryMode"] == "0750"
    assert 0 < int(section["MemoryMax"].rstrip("%")) < 100
    assert "-m 750 /var/lib/edgekd" in INSTALL.read_text()


def test_the_settings_hold_what_the_service_reads(service):
    names = set()
    for name in ("ExecStart", "ExecStartPre"):
        names |= set(re.findall(r"\$\$([A-Z_]+)", service["Service"][name]))
    assert settings().keys() == names


def test_systemd_takes_the_unit_where_it_is_here(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "edgekd-inspect.service"
    unit.write_text((JETSON / "edgekd-inspect.service").read_text())
    printed = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "edgekd-inspect.service" not in printed.stderr, printed.stderr


def test_systemd_finds_the_unit_well_confined_where_it_is_here():
    analyze = shutil.which("systemd-analyze")
    unit = str(JETSON / "edgekd-inspect.service")
    words = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", unit]
    if analyze is None or "--offline" not in subprocess.run([analyze, "--help"], capture_output=True, text=True).stdout:
        pytest.skip("no systemd-analyze that looks at files")
    printed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stdout  # The exposure is below 2.0 of 10.


def test_the_container_stops_by_sigterm_and_not_as_root():
    lines = (JETSON / "Containerfile").read_text().splitlines()
    assert "STOPSIGNAL SIGTERM" in lines
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER edgekd"]
    assert lines.index(users[0]) < lines.index('ENTRYPOINT ["/opt/edgekd/bin/edgekd"]')


def test_the_container_is_made_of_what_the_wheel_is():
    text = (JETSON / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (JETSON.parent / name).exists(), name
