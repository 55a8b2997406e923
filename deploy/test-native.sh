#!/usr/bin/env bash
# Tests install.sh without Docker: --native, the fallback to --native if no engine answers, and the refusals. Scripts
# replace docker and cargo. The script for cargo takes the debug build, which `cargo test` has already made.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
repository=$PWD
work=$(mktemp -d)
tree=$work/link
clean_up() {
    local status=$?
    trap - EXIT
    ((status == 0)) || tail -n 50 "$work/log" "$work/state/log" 2>/dev/null || true
    (cd "$tree" && ./install.sh --uninstall >/dev/null 2>&1) || true
    rm -rf "$work"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
fail() { echo "deploy/test-native.sh: $*" >&2 && exit 1; }

mkdir "$work/real" "$work/bin"
cp -r install.sh docker-compose.yml Cargo.toml "$work/real"
ln -s "$work/real" "$tree"
cd "$tree"
# The state directory is outside the tree, and its path is a symbolic link.
mkdir "$work/store"
ln -s "$work/store" "$work/state"
export STATE_DIR=$work/state SECRETS_DIR=$work/secrets CARGO_TARGET_DIR=$work/target
cat >"$work/bin/cargo" <<TEXT
#!/bin/sh
cd "$repository" && unset CARGO_TARGET_DIR && "$(type -P cargo)" build --quiet --locked &&
    mkdir -p "$work/target/dist" && cp target/debug/auth-service "$work/target/dist/"
TEXT
cat >"$work/bin/docker" <<'TEXT'
#!/bin/sh
case "$1 $2" in
    "info ") test -n "$ENGINE_ANSWERS" ;;
    "compose version") test -n "$COMPOSE_IS_THERE" ;;
    "compose config") echo "    image: none.example.com/no-such-image" ;;
    "compose down") ;;
    *) exit 1 ;;
esac
TEXT
printf '#!/bin/sh\nexit 1\n' >"$work/bin/docker-compose"
chmod +x "$work"/bin/*
export PATH=$work/bin:$PATH
# Below the ports of outgoing connections, which cannot be bound while a closed connection is in TIME-WAIT.
PORT=$((20000 + $$ % 10000))
listens() { { exec 3<>"/dev/tcp/127.0.0.1/$PORT"; } 2>/dev/null && exec 3>&-; }
while listens; do PORT=$((PORT + 1)); done
export PORT

# refuses WORDS ARGUMENTS...: install.sh fails and says WORDS.
refuses() {
    local words=$1
    shift
    ! timeout --foreground 300 ./install.sh "$@" >"$work/log" 2>&1 || fail "install.sh $* is not refused"
    grep -qF -- "$words" "$work/log" || fail "install.sh $* does not say: $words"
}
install() { timeout --foreground 900 ./install.sh "$@" >"$work/log" 2>&1 || fail "install.sh $* failed"; }
says() { grep -qF -- "$1" "$work/log" || fail "install.sh does not say: $1"; }
account='{"email": "ada@example.com", "password": "correct horse battery"}'
# post PATH STATUS
post() {
    local status
    exec 3<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
        "$1" ${#account} "$account" >&3
    read -r -t 9 _ status _ <&3
    exec 3>&-
    [[ $status == "$2" ]] || fail "POST $1 returned $status"
}

refuses "takes a number from 1 to 19" --replicas
refuses "takes a number from 1 to 19" --replicas 20
refuses "is only allowed with --uninstall" --purge
ENGINE_ANSWERS=yes refuses "Docker Compose is not installed"
! listens || fail "install.sh started a server"

install
says "WITHOUT DOCKER"
says "curl -s localhost:$PORT/signup"
post /signup 201
first=$(cat "$STATE_DIR/pid")
install --native
kill -0 "$first" 2>/dev/null && fail "the first server still runs"
post /authenticate 200
# Now an engine answers, but the image cannot be pulled. The server without Docker must keep its accounts.
ENGINE_ANSWERS=yes COMPOSE_IS_THERE=yes install
says "cannot be pulled"
post /authenticate 200

install --uninstall
! listens || fail "the server still runs after --uninstall"
[[ -e $STATE_DIR/data ]] || fail "--uninstall removed the data"
python3 -m http.server --bind 127.0.0.1 "$PORT" >/dev/null 2>&1 &
other=$!
for _ in {1..100}; do ! listens || break; sleep 0.1; done
refuses "port $PORT of 127.0.0.1 is taken" --native
kill $other
wait $other 2>/dev/null || true
HOST="no address" refuses "the server ended" --native
install --native
post /authenticate 200

# A file that an installation with Docker would leave.
mkdir "$SECRETS_DIR"
touch "$SECRETS_DIR/redis_url"
refuses "the accounts are in the Redis"
refuses "can be removed only with the engine" --uninstall --purge
[[ -e $SECRETS_DIR/redis_url ]] || fail "install.sh removed secrets without the engine"
ENGINE_ANSWERS=yes COMPOSE_IS_THERE=yes install --uninstall --purge
[[ ! -e $SECRETS_DIR && ! -e $STATE_DIR ]] || fail "--purge left data or secrets"
echo "deploy/test-native.sh: all passed in $SECONDS s"
