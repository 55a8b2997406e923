#!/usr/bin/env bash
# Fetches kustomize and Docker Compose v2 from Debian 13, because older releases lack them. Compose is a plugin
# (DOCKER_CONFIG=target/tools/docker). Keeps the files in target/tools and installs nothing on the system. Needs apt-get
# and Debian's keyring.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p target/tools
exec 9>target/tools/lock
flock 9
[[ ! -e target/tools/done ]] || exit 0

cd target/tools
mkdir -p apt/lists/partial apt/cache/archives/partial docker/cli-plugins
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" >apt/list
options=(-qq -o Dir::Etc::SourceList="$PWD/apt/list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o APT::Sandbox::User=)
rm -f ./*.deb
# If apt-get update cannot fetch a list, it only warns, and then the download fails.
if ! { apt-get "${options[@]}" update && apt-get "${options[@]}" download docker-compose kustomize; } >log 2>&1; then
    cat log >&2
    echo "deploy/tools.sh: apt-get cannot download Debian's packages, for the reason above" >&2
    exit 1
fi
for package in ./*.deb; do dpkg-deb --extract "$package" .; done
ln -sf ../../usr/libexec/docker/cli-plugins/docker-compose docker/cli-plugins/docker-compose
ln -sf usr/bin/kustomize kustomize
rm -rf apt ./*.deb
touch "done"
