"""The files for a Jetson: whether they are whole, and whether what they call is there."""

import configparser
import importlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from edgekd.machine.jetpack import RELEASES
from edgekd.station.configuration_file import read_configuration, warnings_of

JETSON = Path(__file__).parents[1] / "jetson"
INSTALL = JETSON / "install.sh"
BASH = shutil.which("bash")
EDGEKD = "/opt/edgekd/venv/bin/edgekd"
pytestmark = pytest.mark.skipif(BASH is None, reason="no bash")


def call(function: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one function of the install script."""
    command = f'source "{INSTALL}"; {function} {shlex.join(arguments)}'
    return subprocess.run([BASH, "-c", command], capture_output=True, text=True, check=False)


@pytest.fixture
def service():
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#", strict=False)
    parser.optionxform = str
    text = (JETSON / "edgekd-station.service").read_text()
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


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU")
def test_the_install_script_for_an_rtx_gpu_changes_nothing_where_there_is_none():
    printed = subprocess.run([BASH, str(INSTALL), "--rtx"], capture_output=True, text=True, check=False)
    assert (printed.returncode, printed.stdout) == (3, "")
    assert "install NVIDIA's driver" in printed.stderr


def test_the_install_script_knows_its_options():
    printed = subprocess.run([BASH, str(INSTALL), "--rxt"], capture_output=True, text=True, check=False)
    assert printed.returncode == 3
    assert "unknown option '--rxt'" in printed.stderr


def test_the_install_script_asks_for_extras_that_there_are():
    for extras in re.findall(r"^    install_edgekd \S+ (\S+)", INSTALL.read_text(), re.MULTILINE):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = ", (JETSON.parent / "pyproject.toml").read_text(), re.MULTILINE), extra


def parse(command, words):
    """Parses the options of a command as the command line does; raises what it would report."""
    module = importlib.import_module(f"edgekd.cli.{command}")
    typer.main.get_command(module.app).make_context(command, words)


def test_the_service_runs_the_station_with_its_settings(service):
    words = shlex.split(service["Service"]["ExecStart"])
    assert words[:2] == [EDGEKD, "station"]
    assert "PREFIX=/opt/edgekd\n" in INSTALL.read_text()
    assert f"SETTINGS={words[2]}\n" in INSTALL.read_text()
    parse("station", words[2:])


def test_the_settings_are_a_configuration_that_is_read(tmp_path):
    text = (JETSON / "station.toml").read_text()
    for folder in ("/var/lib/edgekd/station", "/var/lib/edgekd/recipes"):
        assert f'"{folder}"' in text
        assert folder in INSTALL.read_text()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "station.toml").write_text(text.replace("/var/lib/edgekd/", ""))
    configuration = read_configuration(tmp_path / "station.toml")
    assert warnings_of(configuration) == []
    assert configuration.data == tmp_path / "station"
    commented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert commented != text
    (tmp_path / "station.toml").write_text(commented.replace("/var/lib/edgekd/", ""))
    assert read_configuration(tmp_path / "station.toml").stations[0].job == 1


def test_the_service_reaches_the_line_and_nothing_beyond(service):
    section = service["Service"]
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(section["RestrictAddressFamilies"].split())
    assert section["IPAddressDeny"] == "any"
    assert "localhost" in section["IPAddressAllow"].split()
    assert section["AmbientCapabilities"] == section["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"


def test_every_group_of_the_service_is_made_where_it_is_missing(service):
    groups = re.search(r"for group in (.*); do", INSTALL.read_text())
    assert groups
    assert groups[1].split() == service["Service"]["SupplementaryGroups"].split()


def test_the_service_ends_well_and_is_watched(service):
    section = service["Service"]
    assert (section["Type"], section["Restart"]) == ("notify", "always")
    assert int(section["WatchdogSec"]) > 0
    assert int(service["Unit"]["StartLimitBurst"]) * int(section["RestartSec"]) < int(
        service["Unit"]["StartLimitIntervalSec"]
    )  # Else the limit is never reached.
    # SIGTERM is what systemd sends where nothing else is asked for, here to control alone, which stops the inspector.
    assert ("KillSignal" in section, section["SuccessExitStatus"], section["KillMode"]) == (False, "143", "mixed")


def test_the_service_keeps_images_from_others_and_its_memory_within_limits(service):
    section = service["Service"]
    assert int(section["UMask"], 8) & 0o007 == 0o007
    assert section["StateDirectoryMode"] == section["CacheDirectoryMode"] == "0750"
    assert 0 < int(section["MemoryMax"].rstrip("%")) < 100
    assert "-m 750 /var/lib/edgekd" in INSTALL.read_text()


def test_systemd_takes_the_unit_where_it_is_here(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "edgekd-station.service"
    unit.write_text((JETSON / "edgekd-station.service").read_text().replace(EDGEKD, "/bin/true"))
    printed = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "edgekd-station.service" not in printed.stderr, printed.stderr


def test_systemd_finds_the_unit_well_confined_where_it_is_here():
    analyze = shutil.which("systemd-analyze")
    unit = str(JETSON / "edgekd-station.service")
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
    assert lines[-1] == 'CMD ["station", "/data/station.toml"]'


def test_the_container_is_made_of_what_the_wheel_is():
    text = (JETSON / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (JETSON.parent / name).exists(), name
    included = re.findall(
        r'^"([\w/]+)" = "edgekd/_resources', (JETSON.parent / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert included
    for folder in included:
        assert f"COPY {folder} /src/{folder}" in text
