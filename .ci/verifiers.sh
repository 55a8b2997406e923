#!/usr/bin/env bash
# Fetches PyJWT, Authlib and joserfc from PyPI, pinned by version and hash, for `cargo test --test verifiers`. Keeps them in
# target/verifiers and installs nothing on the system. Needs python3 with pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p target/verifiers
exec 9>target/verifiers/lock
flock 9
wanted=$(sha256sum <.ci/verifiers.txt)
[[ $(cat target/verifiers/done 2>/dev/null) != "$wanted" ]] || exit 0

rm -rf target/verifiers/{done,libraries}
PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-cache-dir --no-deps --require-hashes \
    --target target/verifiers/libraries --requirement .ci/verifiers.txt
echo "$wanted" >target/verifiers/done
