#!/usr/bin/env bash
# Install humpback's dependencies on a Debian or Ubuntu machine that has only Python 3.11+, git and make:
# uv (by pip, into .cache), a Java 17+ runtime and libnuma (by apt, as root), and the locked environment
# in .venv. Ends quickly if everything is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "bootstrap: $*" >&2; }
die() { say "$*"; exit 1; }

# install_any PACKAGE...: install the first of these packages that apt offers; fails without root or apt.
install_any() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    local package
    for attempt in 1 2; do
        for package in "$@"; do
            apt-cache show "$package" >/dev/null 2>&1 || continue
            say "apt-get install $package"
            DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$package" >/dev/null && return
        done
        [ "$attempt" = 1 ] && apt-get update -qq
    done
    return 1
}

python_is_recent() { python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_uv() {
    local uv
    for uv in uv .cache/uv/bin/uv; do
        "$uv" --version >/dev/null 2>&1 && echo "$uv" && return
    done
    return 1
}

# Installed into a folder of the project, since an externally managed Python (PEP 668) refuses packages.
pip_uv() { PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target .cache/uv uv >&2; }

java_is_recent() {
    local version
    version=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p') && [ "${version:-0}" -ge 17 ]
}

# Without grep's -q, which exits before ldconfig has written everything: `pipefail` makes that a failure.
has_libnuma() { [ "$(uname -m)" != x86_64 ] || PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep 'libnuma\.so\.1' >/dev/null; }

python_is_recent || die "humpback needs Python 3.11 or newer as python3: install it and try again"

if ! find_uv >/dev/null; then
    say "no uv here: installing it into .cache/uv"
    pip_uv || { install_any python3-pip && pip_uv; } ||
        die "could not install uv: install it (pip install uv) or pip (apt-get install python3-pip) and try again"
fi
uv=$(find_uv)

if ! java_is_recent; then
    [ -z "${JAVA_HOME:-}" ] || die "JAVA_HOME=$JAVA_HOME holds no Java 17 or newer, which Spark needs: change or unset it"
    install_any openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless && java_is_recent ||
        die "Spark needs a Java 17+ runtime: as root, apt-get install openjdk-17-jre-headless, and try again"
fi

has_libnuma || { install_any libnuma1 libnuma1t64 && has_libnuma; } ||
    die "the model server needs libnuma: as root, apt-get install libnuma1, and try again"

extra=cpu
nvidia-smi -L >/dev/null 2>&1 && extra=gpu
flags=--quiet
# Compile to bytecode once: every server, trainer and Spark worker loads thousands of modules at its start.
[ -d .venv ] || { flags=--compile-bytecode; say "installing the environment of uv.lock into .venv (some 7 GB the first time)"; }
"$uv" sync $flags --locked --extra "$extra" --extra demo || die "uv could not install uv.lock into .venv: see above"
