# lib.sh - what the scripts of this folder share; sourced, not run.
# Debian packages are installed when missing; the build goes to build/ (or $FOGLINE_BUILD).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${FOGLINE_BUILD:-$root/build}

packages_build="gcc libc6-dev meson ninja-build pkg-config protobuf-c-compiler protobuf-compiler libprotobuf-c-dev
 libzmq3-dev liblmdb-dev libsodium-dev libyaml-dev libyajl-dev zlib1g-dev libgpiod-dev libmodbus-dev libmosquitto-dev
 libcmocka-dev"
packages_demo="python3-minimal libpython3-stdlib"
packages_test="git ca-certificates python3 python3-pytest python3-pytest-xdist python3-zmq python3-protobuf python3-nacl procps
 mosquitto openssl libonnx-testdata"

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# need PACKAGE ... : installs what dpkg does not know as installed.
need() {
    local missing=() p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || die "These packages are missing and there is no apt-get to install them: ${missing[*]}"
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "Missing packages: ${missing[*]}
There is no sudo here. As root, run: apt-get install --no-install-recommends ${missing[*]}
Then run this again."
        sudo=(sudo)
    fi
    printf 'Installing: %s\n' "${missing[*]}" >&2
    local log
    log=$(mktemp)
    if ! { "${sudo[@]}" apt-get update -q &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install them (see above). Install them by hand, then run this again."
    fi
    rm -f "$log"
}

# build_in DIR [meson option ...]: configures once, builds what build_targets names (nothing: all), says nothing unless it
# fails.
build_targets=()
build_in() {
    local dir=$1 log
    shift
    log=$(mktemp)
    if [ ! -e "$dir/build.ninja" ]; then
        meson setup "$dir" "$root" "$@" >"$log" 2>&1 || { cat "$log" >&2; die "meson setup failed (see above)"; }
    fi
    ninja -C "$dir" "${build_targets[@]}" >"$log" 2>&1 || { grep -v '^\[' "$log" | tail -n 60 >&2; die "the build failed (see above)"; }
    rm -f "$log"
}
