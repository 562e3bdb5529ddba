"""The files for a Jetson: whether they are whole, and whether what they call is there."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edgekd.cli.inspect import add_arguments
from edgekd.cli.main import COMMANDS, Parser
from edgekd.profiling.jetpack import RELEASES

JETSON = Path(__file__).parents[1] / "jetson"
INSTALL = JETSON / "install.sh"
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="no bash")


def call(function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one function of the install script."""
    command = f'source "{INSTALL}"; {function} {shlex.join(arguments)}'
    return subprocess.run([BASH, "-c", command], capture_output=True, text=True, check=False)


@pytest.fixture
def service():
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#")  # Strict: no option twice.
    parser.optionxform = str
    parser.read(JETSON / "edgekd-inspect.service")
    return parser


def test_the_install_script_parses():
    subprocess.run([BASH, "-n", str(INSTALL)], check=True)
    assert os.access(INSTALL, os.X_OK)


@pytest.mark.parametrize("known", RELEASES, ids=lambda known: known.l4t)
def test_the_install_script_and_the_table_of_releases_agree(known):
    said = call("choose_versions", known.l4t)
    assert (said.returncode == 0) == known.is_supported
    if known.is_supported:
        python, bindings = said.stdout.split()
        assert python == known.python
        assert bindings.startswith(f"cuda-bindings=={known.cuda.partition('.')[0]}.")
    else:
        assert said.returncode == 3
        assert "install JetPack 6.1 or newer" in said.stderr


def test_the_install_script_reads_the_release(tmp_path):
    release = tmp_path / "nv_tegra_release"
    release.write_text(
        "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, DATE: Thu Sep 18\n"
    )
    assert call("read_l4t", str(release)).stdout == "36.4.7\n"
    release.write_text("Ubuntu 22.04\n")
    said = call("read_l4t", str(release))
    assert said.returncode == 3
    assert "does not begin with an L4T release" in said.stderr


@pytest.mark.skipif(Path("/etc/nv_tegra_release").exists(), reason="this is a Jetson")
def test_the_install_script_changes_nothing_where_there_is_no_jetson():
    said = subprocess.run([BASH, str(INSTALL)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (3, "")
    assert "this is no Jetson" in said.stderr
    assert said.stderr.count("\n") == 1


def test_the_service_calls_a_command_that_there_is_with_options_that_it_takes(service):
    shell, option, line = shlex.split(service["Service"]["ExecStart"])
    assert (shell, option) == ("/bin/sh", "-c")
    line = line.replace("$$", "$").replace("%%", "%")
    subprocess.run([BASH, "-n", "-c", line], check=True)
    words = shlex.split(line)
    assert words[1] == "/opt/edgekd/venv/bin/edgekd"
    assert "PREFIX=/opt/edgekd\n" in INSTALL.read_text()
    assert words[2] in COMMANDS
    parser = Parser()
    add_arguments(parser)
    parser.parse_args(words[3:-1])
    assert words[-1] == "$OPTIONS"


def test_the_service_ends_well_and_is_watched(service):
    section = service["Service"]
    assert (section["Type"], section["Restart"]) == ("notify", "always")
    assert int(section["WatchdogSec"]) > 0
    assert int(service["Unit"]["StartLimitBurst"]) * int(section["RestartSec"]) < int(
        service["Unit"]["StartLimitIntervalSec"]
    )  # Else the limit is never reached.
    assert (section["KillSignal"], section["SuccessExitStatus"]) == ("SIGINT", "130")


def test_the_settings_hold_what_the_service_reads(service):
    names = set(re.findall(r"\$\$([A-Z]+)", service["Service"]["ExecStart"]))
    lines = (JETSON / "inspect.env").read_text().splitlines()
    assert {line.partition("=")[0] for line in lines if line and not line.startswith("#")} == names


def test_systemd_takes_the_unit_where_it_is_here(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "edgekd-inspect.service"
    unit.write_text((JETSON / "edgekd-inspect.service").read_text())
    said = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "edgekd-inspect.service" not in said.stderr, said.stderr


def test_the_container_is_made_of_what_the_wheel_is():
    text = (JETSON / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (JETSON.parent / name).exists(), name
