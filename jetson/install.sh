#!/usr/bin/env bash
# Installs an edgekd station. On a Jetson: JetPack's TensorRT for Python by apt, edgekd and cuda-bindings by pip in a venv
# that sees it. On a PC with an RTX GPU: edgekd and TensorRT for RTX by pip. On both the service, which is not started. No
# torch. Run it again after an update of edgekd, of JetPack or of the driver.
#
#     sudo bash jetson/install.sh          # on a Jetson
#     sudo bash jetson/install.sh --rtx    # on a PC with an RTX GPU
set -euo pipefail

PREFIX=/opt/edgekd
SETTINGS=/etc/edgekd/station.toml
UNIT=edgekd-station.service
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(dirname "$HERE")

say() { printf 'install.sh: %s\n' "$*"; }

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 3
}

# Prints the L4T release that a file tells, such as 36.4.3.
read_l4t() {
    local line
    [[ -r $1 ]] || fail "no $1: this is no Jetson; on a PC with an RTX GPU: sudo bash ${BASH_SOURCE[0]} --rtx"
    IFS= read -r line <"$1" || true
    [[ $line =~ ^#\ R([0-9]+)\ \(release\),\ REVISION:\ ([0-9]+(\.[0-9]+)*) ]] ||
        fail "$1 does not begin with an L4T release, such as '# R36 (release), REVISION: 4.3': $line"
    printf '%s.%s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
}

# Prints the Python that a release's TensorRT is packaged for, and the cuda-bindings that its driver serves.
choose_versions() {
    local major minor
    IFS=. read -r major minor _ <<<"$1"
    case $major in
    36)
        ((minor >= 4)) || fail "L4T $1 is JetPack 6.0, whose TensorRT 8.6 is too old: install JetPack 6.1 or newer"
        echo "3.10 cuda-bindings==12.9.*"
        ;;
    38 | 39) echo "3.12 cuda-bindings==13.*" ;;
    *) fail "L4T $1 is not supported: install JetPack 6.1 or newer (L4T 36.4), or JetPack 7 (L4T 38, 39)" ;;
    esac
}

check_python() {
    local found
    found=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        fail "no /usr/bin/python3: install the system's Python again, apt-get install python3"
    [[ $found == "$1" ]] ||
        fail "/usr/bin/python3 is $found, and JetPack's TensorRT is packaged for $1: make that the system's Python again"
}

# PyGObject and GStreamer for Python are for cameras that a pipeline reads; PyPI has no wheels of them.
install_system_packages() {
    local packages=(python3-venv python3-gi gir1.2-gst-plugins-base-1.0 "$@")
    say "apt: ${packages[*]}"
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
}

# Installs edgekd with extras, and what else pip shall install.
install_edgekd() {
    local python=$1 extras=$2
    shift 2
    if [[ -x $PREFIX/venv/bin/python ]] &&
        [[ $("$PREFIX/venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') == "$python" ]]; then
        say "venv: $PREFIX/venv is there and stays"
    else
        say "venv: a new one in $PREFIX/venv, which sees the system's packages"
        /usr/bin/python3 -m venv --clear --system-site-packages "$PREFIX/venv"
    fi
    say "pip: edgekd[$extras] of $CHECKOUT $*"
    "$PREFIX/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$CHECKOUT[$extras]" "$@"
    ln -sfn "$PREFIX/venv/bin/edgekd" /usr/local/bin/edgekd
}

install_service() {
    local group
    say "service: $UNIT as user edgekd, its settings in $SETTINGS; it is not started"
    id edgekd >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /var/lib/edgekd --shell /usr/sbin/nologin edgekd
    install -m 644 "$HERE/$UNIT" "/etc/systemd/system/$UNIT"
    if [[ ! -e $SETTINGS ]]; then
        install -D -m 644 "$HERE/station.toml" "$SETTINGS"
    fi
    # The unit names these groups; a machine without such devices may lack them.
    for group in video render gpio; do
        groupadd --force --system "$group"
    done
    install -d -o edgekd -g edgekd -m 750 /var/lib/edgekd /var/lib/edgekd/station /var/lib/edgekd/recipes
    systemctl daemon-reload
}

require_root() {
    [[ $(id -u) == 0 ]] || fail "this writes to $PREFIX and /etc: sudo bash ${BASH_SOURCE[0]} $*"
}

on_a_jetson() {
    local l4t versions python bindings
    l4t=$(read_l4t /etc/nv_tegra_release)
    versions=$(choose_versions "$l4t")
    read -r python bindings <<<"$versions"
    check_python "$python"
    say "L4T $l4t, Python $python"
    require_root
    install_system_packages python3-libnvinfer
    install_edgekd "$python" page "$bindings"
}

with_an_rtx_gpu() {
    local gpu python
    gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null) ||
        fail "nvidia-smi finds no GPU: install NVIDIA's driver, restart, and run this again"
    python=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        fail "no /usr/bin/python3: apt-get install python3"
    say "${gpu//$'\n'/, }, Python $python"
    require_root --rtx
    install_system_packages
    install_edgekd "$python" page,tensorrt-rtx
}

main() {
    case ${1:-} in
    "") on_a_jetson ;;
    --rtx) with_an_rtx_gpu ;;
    *) fail "unknown option '$1': there is --rtx, for a PC with an RTX GPU" ;;
    esac
    install_service
    say "done; make a recipe, edit $SETTINGS, then: systemctl enable --now edgekd-station; what works here:"
    edgekd doctor
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main "$@"
fi
