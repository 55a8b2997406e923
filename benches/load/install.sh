#!/usr/bin/env bash
# Installs the programs that the benchmark starts: redis-server, the load generators wrk and oha, and Go with the
# packages of the peer. Does nothing if all of them are installed. oha goes into target/bench/tools; apt-get installs
# the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

packages=()
type -P redis-server >/dev/null || packages+=(redis-server)
type -P wrk >/dev/null || packages+=(wrk)
type -P go >/dev/null || packages+=(golang-go)
gocode=/usr/share/gocode/src/github.com
[[ -d $gocode/gomodule/redigo ]] || packages+=(golang-github-gomodule-redigo-dev)
[[ -d $gocode/golang-jwt/jwt ]] || packages+=(golang-github-golang-jwt-jwt-dev)
if ((${#packages[@]})); then
    type -P apt-get >/dev/null || { echo "install these yourself, there is no apt-get here: ${packages[*]}" >&2; exit 1; }
    as_root apt-get -qq update
    # policy-rc.d keeps Debian from starting the services that it installs.
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'as_root rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${packages[@]}" </dev/null
fi
[[ -x target/bench/tools/bin/oha ]] ||
    cargo install --quiet --locked --root target/bench/tools oha@1.16.0
mkdir -p target/bench
GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go build -o target/bench/peer benches/load/peer.go
