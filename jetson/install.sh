#!/usr/bin/env bash
# Installs edgekd on a Jetson: JetPack's TensorRT for Python by apt, edgekd and cuda-bindings by pip in a venv that sees
# it, and the service, which is not started. No torch. Run it again after an update of edgekd or of JetPack.
#
#     sudo bash jetson/install.sh
set -euo pipefail

PREFIX=/opt/edgekd
SETTINGS=/etc/edgekd/inspect.env
UNIT=edgekd-inspect.service
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
    [[ -r $1 ]] || fail "no $1: this is no Jetson; on another machine: pip install '.[tensorrt-rtx]' in a checkout"
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

install_system_packages() {
    say "apt: python3-venv and python3-libnvinfer, which is TensorRT for Python"
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv python3-libnvinfer
}

install_edgekd() {
    local bindings=$1 python=$2
    if [[ -x $PREFIX/venv/bin/python ]] &&
        [[ $("$PREFIX/venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') == "$python" ]]; then
        say "venv: $PREFIX/venv is there and stays"
    else
        say "venv: a new one in $PREFIX/venv, which sees the system's packages"
        /usr/bin/python3 -m venv --clear --system-site-packages "$PREFIX/venv"
    fi
    say "pip: edgekd of $CHECKOUT, and $bindings"
    "$PREFIX/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$CHECKOUT" "$bindings"
    ln -sfn "$PREFIX/venv/bin/edgekd" /usr/local/bin/edgekd
}

install_service() {
    say "service: $UNIT as user edgekd, its settings in $SETTINGS; it is not started"
    id edgekd >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /var/lib/edgekd --shell /usr/sbin/nologin edgekd
    install -m 644 "$HERE/$UNIT" "/etc/systemd/system/$UNIT"
    if [[ ! -e $SETTINGS ]]; then
        install -D -m 644 "$HERE/inspect.env" "$SETTINGS"
    fi
    install -d -o edgekd -g edgekd -m 750 /var/lib/edgekd
    systemctl daemon-reload
}

main() {
    local l4t versions python bindings
    l4t=$(read_l4t /etc/nv_tegra_release)
    versions=$(choose_versions "$l4t")
    read -r python bindings <<<"$versions"
    check_python "$python"
    say "L4T $l4t, Python $python"
    [[ $(id -u) == 0 ]] || fail "this writes to $PREFIX and /etc: sudo bash ${BASH_SOURCE[0]}"
    install_system_packages
    install_edgekd "$bindings" "$python"
    install_service
    say "done; what works here:"
    edgekd doctor
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main
fi
