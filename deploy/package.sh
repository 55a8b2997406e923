#!/usr/bin/env bash
# Makes the Debian package target/package/auth-service_VERSION-1_ARCHITECTURE.deb, on Debian or Ubuntu.
#   deploy/package.sh              builds the server first
#   deploy/package.sh PROGRAM [OPTION]...      takes a server that was built before; the options go to cargo-deb
# The same commit and the same program give the same package, byte for byte. REVISION is the Debian revision (1). The script
# needs gcc, dpkg-dev and xz-utils. The script compiles cargo-deb in about a minute, and keeps the program in
# target/tools.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
revision=${REVISION:-1} work=target/package tool=target/tools/cargo-deb-3.8.0
# An optimised build would take longer than it saves.
[[ -x $tool/bin/cargo-deb ]] ||
    cargo install --quiet --locked --debug --no-default-features --root $tool --target-dir $tool/target cargo-deb@${tool##*-}
rm -rf $tool/target

program=${1-}
if [[ -z $program ]]; then
    cargo build --profile dist --locked
    program=${CARGO_TARGET_DIR:-target}/dist/auth-service
fi
program=$(realpath "$program")
# Without git, such as in an unpacked release, the time of the last change.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH

rm -rf $work
mkdir -p $work/man $work/units
install -m 755 "$program" $work/auth-service
for shell in bash zsh fish; do "$program" completions $shell >$work/auth-service.$shell; done
"$program" man --output $work/man >/dev/null
deploy/sbom.sh >$work/sbom.cdx.json
# /usr/local belongs to the administrator.
sed 's,/usr/local/,/usr/,' deploy/auth-service.service >$work/units/auth-service.service
cp deploy/package/postrm $work/units/
gzip -9n <CHANGELOG.md >$work/changelog.gz
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
cat >$work/changelog.Debian <<TEXT
auth-service ($version-$revision) unstable; urgency=medium

  * The changes are in /usr/share/doc/auth-service/changelog.gz.

 -- $maintainer  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
TEXT
$tool/bin/cargo-deb --quiet --no-build --no-strip --locked --deb-revision "$revision" --output $work "${@:2}"
