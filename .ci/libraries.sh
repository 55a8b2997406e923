#!/usr/bin/env bash
# Usage: .ci/libraries.sh NAME
# Fetches the Python libraries of .ci/NAME.txt from PyPI, pinned by version and hash, for `cargo test --test NAME`. Keeps
# them in target/NAME and installs nothing on the system. Needs python3 with pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=$1
directory=target/$name
mkdir -p "$directory"
exec 9>"$directory/lock"
flock 9
wanted=$(sha256sum <".ci/$name.txt")
[[ $(cat "$directory/done" 2>/dev/null) != "$wanted" ]] || exit 0

rm -rf "$directory"/{done,libraries}
PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-cache-dir --no-deps --require-hashes \
    --target "$directory/libraries" --requirement ".ci/$name.txt"
echo "$wanted" >"$directory/done"
