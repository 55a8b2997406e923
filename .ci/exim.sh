#!/usr/bin/env bash
# Usage: .ci/exim.sh
# Unpacks Debian's SMTP server Exim into target/mail/exim, for `cargo test --test mail`. Installs nothing on the system,
# because apt-get would replace the mail server of the machine. The libraries come along, and nss_wrapper, which shows Exim
# the user that it wants to run as. Needs apt-get and dpkg.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
directory=target/mail/exim
mkdir -p "$directory"
exec 9>"$directory.lock"
flock 9
[[ ! -e $directory/done ]] || exit 0

rm -rf "$directory"
mkdir -p "$directory/packages"
packages=(exim4-daemon-light libnss-wrapper)
# The libraries that this machine lacks.
mapfile -t missing < <(apt-get install --simulate --no-install-recommends "${packages[@]}" |
    awk '/^Inst lib/ { print $2 }' | grep -v '^libnss-wrapper$' || true)
(cd "$directory/packages" && apt-get download --quiet "${packages[@]}" ${missing[@]+"${missing[@]}"})
for package in "$directory"/packages/*.deb; do
    dpkg-deb --extract "$package" "$directory/unpacked"
done
rm -r "$directory/packages"
# The system ignores LD_LIBRARY_PATH for programs that run as another user.
chmod u-s,g-s "$directory/unpacked/usr/sbin/exim4"
touch "$directory/done"
