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
mkdir -p "$directory"/{packages,apt/lists/partial,apt/cache/archives/partial}
# Lists of its own, because those of the machine may be old, and then name packages that are no longer there.
options=(-qq -o Dir::State::Lists="$PWD/$directory/apt/lists" -o Dir::Cache="$PWD/$directory/apt/cache"
    -o APT::Sandbox::User=)
apt-get "${options[@]}" update
packages=(exim4-daemon-light libnss-wrapper)
simulated=$(apt-get "${options[@]}" install --simulate --no-install-recommends "${packages[@]}")
# The libraries that this machine lacks.
mapfile -t missing < <(awk '/^Inst lib/ && $2 != "libnss-wrapper" { print $2 }' <<<"$simulated")
(cd "$directory/packages" && apt-get "${options[@]}" download "${packages[@]}" ${missing[@]+"${missing[@]}"})
for package in "$directory"/packages/*.deb; do
    dpkg-deb --extract "$package" "$directory/unpacked"
done
rm -r "$directory"/{packages,apt}
# The system ignores LD_LIBRARY_PATH for programs that run as another user.
chmod u-s,g-s "$directory/unpacked/usr/sbin/exim4"
touch "$directory/done"
