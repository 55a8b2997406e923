# A step of deploy/test-docker.sh: the Debian package is installed in a container, upgraded, removed and purged.
# shellcheck shell=bash disable=SC2154,SC2164 # deploy/test-docker.sh sets the variables and set -e

step "the Debian package"
# The program that `cargo test` has made. `cargo build` would compile the crates again, because the tests use more features
# of some crates.
(
    cd "$repository"
    cargo test --quiet --locked --test api --no-run
    program=${CARGO_TARGET_DIR:-target}/debug/auth-service
    strip -o "$work/auth-service" "$program"
    for revision in 2 1 1; do
        REVISION=$revision deploy/package.sh "$work/auth-service" --fast
        cp target/package/*.deb "$work/made-$revision.deb"
        [[ $revision == 2 || ! -e $work/first ]] || cmp "$work/first" "$work/made-1.deb" || fail "the package is not reproducible"
        [[ $revision == 2 ]] || cp "$work/made-1.deb" "$work/first"
    done
    python3 .ci/sbom.py target/package/sbom.cdx.json "$work/auth-service"
    dpkg-deb -x "$work/made-1.deb" "$work/package"
    # The check also reads the units of the system.
    cp -rn /usr/lib/systemd/system "$work/package/usr/lib/systemd/"
    systemd-analyze verify --man=no --root="$work/package" auth-service.service
)
package_port=$((PORT + 1))
until port_is_free $package_port; do package_port=$((package_port + 1)); done
# The label lets clean_up find the container.
machine=$(docker run -d --label "com.docker.compose.project=$COMPOSE_PROJECT_NAME" -p "127.0.0.1:$package_port:3000" \
    "$DEBIAN_IMAGE" sleep infinity)
inside() { docker exec -i "$machine" sh -euc "$1"; }
# apt ACTION PACKAGE
apt() {
    inside "DEBIAN_FRONTEND=noninteractive apt-get -qq -y $1 $2" >"$work/log" 2>&1 ||
        { cat "$work/log" && fail "apt-get $1 $2 failed"; }
}
# The container has no systemd, so this function takes over its work: the user, the directory, the settings and the
# command of the unit.
start_packaged() {
    docker exec -d "$machine" sh -euc '
        unit=/usr/lib/systemd/system/auth-service.service
        mkdir -p /var/lib/private/auth-service
        chown 61234:61234 /var/lib/private/auth-service
        chmod 700 /var/lib/private/auth-service
        ln -sfn private/auth-service /var/lib/auth-service
        chmod 711 /var/lib/private
        cd /var/lib/auth-service
        set -a
        . /etc/auth-service/settings
        DATA_DIR=/var/lib/auth-service
        exec setpriv --reuid=61234 --regid=61234 --clear-groups --no-new-privs $(sed -n "s/^ExecStart=//p" $unit) >/tmp/log 2>&1'
    for _ in {1..100}; do
        [[ $(status "http://127.0.0.1:$package_port/readyz") != 200 ]] || return 0
        sleep 0.2
    done
    inside 'cat /tmp/log' && fail "the packaged server does not become ready"
}
stop_packaged() {
    inside 'kill "$(pidof auth-service)"; while pidof auth-service >/dev/null; do sleep 0.1; done'
}
packaged() { PORT=$package_port post "$1" "$account"; }

docker cp "$work/made-1.deb" "$machine:/tmp/"
docker cp "$work/made-2.deb" "$machine:/tmp/"
apt install /tmp/made-1.deb
inside '
    test "$(stat -c "%a %U" /etc/auth-service/settings)" = "640 root"
    test -L /etc/systemd/system/multi-user.target.wants/auth-service.service
    dpkg --verify auth-service
    auth-service --version
    for file in man/man1/auth-service.1.gz bash-completion/completions/auth-service zsh/vendor-completions/_auth-service \
        fish/vendor_completions.d/auth-service.fish doc/auth-service/copyright doc/auth-service/sbom.cdx.json; do
        dpkg -S /usr/share/$file >/dev/null
    done
    ! dpkg -L auth-service | grep -i secret_key' >"$work/log" 2>&1 || { cat "$work/log" && fail "a file of the package is wrong"; }
inside 'echo HOST=0.0.0.0 >>/etc/auth-service/settings'
start_packaged
[[ $(packaged /signup) == 201 && $(packaged /authenticate) == 200 ]] || fail "the packaged server does not serve"
# An upgrade keeps the settings and the data.
stop_packaged
apt install /tmp/made-2.deb
[[ $(inside "dpkg-query -W -f '\${Version}' auth-service") == *-2 ]] || fail "the package was not upgraded"
start_packaged
[[ $(packaged /authenticate) == 200 ]] || fail "an upgrade lost the account"
stop_packaged
apt remove auth-service
inside '! test -e /usr/bin/auth-service && grep -q ^HOST /etc/auth-service/settings && test -e /var/lib/auth-service/store.redb' ||
    fail "removal of the package leaves the program, or removes settings or data"
apt install /tmp/made-2.deb
start_packaged
[[ $(packaged /authenticate) == 200 ]] || fail "removal of the package lost the account"
stop_packaged
apt purge auth-service
inside '! test -e /etc/auth-service && ! test -e /var/lib/auth-service && ! test -e /var/lib/private/auth-service' ||
    fail "purging the package leaves settings or data"
docker rm -f "$machine" >/dev/null
