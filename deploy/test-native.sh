#!/usr/bin/env bash
# Tests install.sh without Docker: --native, the fallback to --native if no engine answers, upgrades that fail or are
# interrupted, what the next run remembers, and the refusals. Scripts replace docker and cargo. The script for cargo takes
# the server that `cargo test` has already made. `cargo build` would make another one in the same place, while other tests
# may run the first.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
repository=$PWD built=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
tree=$work/link
others=''
clean_up() {
    local status=$?
    trap - EXIT
    ((status == 0)) || tail -n 50 "$work/log" "$work/state/log" 2>/dev/null || true
    # shellcheck disable=SC2086 # those that run
    kill $others 2>/dev/null || true
    (cd "$tree" && ./install.sh --uninstall >/dev/null 2>&1) || true
    rm -rf "$work"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
fail() { echo "deploy/test-native.sh: $*" >&2 && exit 1; }

mkdir -p "$work/real/deploy" "$work/bin"
cp -r install.sh docker-compose.yml Cargo.toml .env.example "$work/real"
cp -r deploy/install "$work/real/deploy"
ln -s "$work/real" "$tree"
cd "$tree"
# The state directory is outside the tree, and its path is a symbolic link.
mkdir "$work/store"
ln -s "$work/store" "$work/state"
export STATE_DIR=$work/state SECRETS_DIR=$work/secrets CARGO_TARGET_DIR=$work/target
cat >"$work/bin/cargo" <<TEXT
#!/bin/sh
test -z "\$BROKEN_BUILD" || { echo "error: planted" >&2; exit 1; }
test -z "\$SLOW_BUILD" || exec sleep 60
cd "$repository" && CARGO_TARGET_DIR="$built" "$(type -P cargo)" test --quiet --locked --test api --no-run &&
    mkdir -p "$work/target/dist" && cp "$built/debug/auth-service" "$work/target/dist/"
TEXT
cat >"$work/bin/docker" <<'TEXT'
#!/bin/sh
case "$1 $2" in
    "info ") test -n "$ENGINE_ANSWERS" ;;
    "compose version") test -n "$COMPOSE_IS_THERE" ;;
    "compose config") echo "    image: none.example.com/no-such-image" ;;
    "compose down" | "ps -a" | "ps -aq" | "volume ls" | "images -q" | "image prune") ;;
    *) exit 1 ;;
esac
TEXT
printf '#!/bin/sh\nexit 1\n' >"$work/bin/docker-compose"
chmod +x "$work"/bin/*
export PATH=$work/bin:$PATH
# Below the ports of outgoing connections, which cannot be bound while a closed connection is in TIME-WAIT, and above those of
# the Redis nodes that tests start at the same time.
PORT=$((30000 + $$ % 2000))
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

# Answers the question of install.sh on a terminal.
on_terminal() { script -qec "./install.sh $2" /dev/null <<<"$1" >"$work/log" 2>&1; }
native_pid() { cat "$STATE_DIR/pid"; }
# Whether the server of this process still serves the account.
still_serves() {
    kill -0 "$1" || fail "the old server does not run"
    post /authenticate 200
}
# interrupt SIGNAL WORDS ARGUMENTS...: starts install.sh, and sends the signal when the output has the words.
interrupt() {
    local signal=$1 words=$2 installer
    shift 2
    ./install.sh "$@" >"$work/log" 2>&1 &
    installer=$!
    for _ in {1..1500}; do ! grep -qF -- "$words" "$work/log" || break; sleep 0.02; done
    kill "-$signal" $installer
    ! wait $installer || fail "install.sh was not interrupted"
}

refuses "takes a number from 1 to 19" --replicas
refuses "takes a number from 1 to 19" --replicas 20
refuses "is only allowed with --uninstall" --purge
refuses "is only allowed with --purge" --uninstall --yes
refuses "exclude each other" --native --docker
PORT=0x50 refuses "PORT must be a number"
ENGINE_ANSWERS=yes refuses "Docker Compose is not installed"
! listens || fail "install.sh started a server"

install
says "WITHOUT DOCKER"
says "curl -s localhost:$PORT/signup"
says "runs on the embedded store in $(realpath "$work/store")/data"
post /signup 201
# From here on, install.sh must remember where everything is.
for setting in "PORT=$PORT" "STATE_DIR=$STATE_DIR" "SECRETS_DIR=$SECRETS_DIR"; do
    grep -qxF "$setting" .env || fail ".env lacks $setting"
done
export -n PORT STATE_DIR SECRETS_DIR
first=$(native_pid)
install --native
! kill -0 "$first" 2>/dev/null || fail "the first server still runs"
post /authenticate 200
ENGINE_ANSWERS=yes COMPOSE_IS_THERE=yes install
says "As in the last run: without Docker"
# Now Docker is asked for, but the image cannot be pulled. The server without Docker must keep its accounts.
ENGINE_ANSWERS=yes COMPOSE_IS_THERE=yes install --docker
says "cannot be pulled"
post /authenticate 200

# An upgrade that fails leaves the old server running.
old=$(native_pid)
BROKEN_BUILD=yes refuses "the build failed" --native
says "the old version runs, process $old, and serves on http://localhost:$PORT"
still_serves "$old"
PASSWORD_MIN_SCORE=9 refuses "PASSWORD_MIN_SCORE must be" --native
says "the old version runs, process $old"
still_serves "$old"
! grep -q PASSWORD_MIN_SCORE .env || fail "install.sh saved a wrong setting"
SLOW_BUILD=yes interrupt TERM "Building with cargo" --native
says "interrupted while building"
still_serves "$old"
SLOW_BUILD=yes interrupt HUP "Building with cargo" --native
still_serves "$old"
interrupt TERM "the server is ready" --native
says "interrupted while replacing the server"
says "the old version runs"
post /authenticate 200
[[ -z $(find "$STATE_DIR/" -name '*.old' -o -name '*.new' -o -name trial) ]] || fail "an interruption leaves files behind"
PASSWORD_MIN_LENGTH=9 install --native
grep -qx PASSWORD_MIN_LENGTH=9 .env || fail ".env lacks a setting from the environment"
PASSWORD_MIN_LENGTH=10 install --native
[[ $(grep PASSWORD_MIN_LENGTH .env) == PASSWORD_MIN_LENGTH=10 ]] || fail ".env has the old setting"
post /authenticate 200

install --uninstall
! listens || fail "the server still runs after --uninstall"
[[ -e $STATE_DIR/data ]] || fail "--uninstall removed the data"
python3 -m http.server --bind 127.0.0.1 "$PORT" >/dev/null 2>&1 &
others=$!
for _ in {1..100}; do ! listens || break; sleep 0.1; done
refuses "port $PORT of 127.0.0.1 is taken" --native
kill $others
wait $others 2>/dev/null || true
HOST="no address" refuses "the server ended" --native
install --native
post /authenticate 200

# The server on Redis, which does not have the account of the embedded store.
redis_port=$((PORT + 1))
redis-server --port $redis_port --bind 127.0.0.1 --save '' --requirepass planted-password >/dev/null &
others=$!
for _ in {1..100}; do ! redis-cli -p $redis_port ping >/dev/null 2>&1 || break; sleep 0.1; done
export AUTH_SECRET_KEY=planted-access-key-0123456789abcdef REFRESH_SECRET_KEY=planted-refresh-key-0123456789abcdef
REDIS_URL=redis://:planted-password@127.0.0.1:$redis_port install --native
says "runs on the Redis at redis://127.0.0.1:$redis_port, which REDIS_URL names"
says "The accounts in the embedded store in $STATE_DIR/data are NOT used"
! grep -q planted "$work/log" .env || fail "install.sh shows or saves a secret"
post /authenticate 401
refuses "the accounts of the last run are in the Redis" --native
unset AUTH_SECRET_KEY REFRESH_SECRET_KEY
rm "$STATE_DIR/store"
DATA_DIR=$work/other refuses "the accounts of the last run are in $STATE_DIR/data" --native
install --native
post /authenticate 200
kill $others
wait $others 2>/dev/null || true
others=''

# A file that an installation with Docker would leave.
mkdir "$SECRETS_DIR"
touch "$SECRETS_DIR/redis_url"
install
says "The accounts of the installation with Docker are NOT used"
refuses "the accounts are in the Redis" --docker
refuses "can be removed only with the engine" --uninstall --purge --yes
[[ -e $SECRETS_DIR/redis_url ]] || fail "install.sh removed secrets without the engine"
export ENGINE_ANSWERS=yes COMPOSE_IS_THERE=yes
refuses "is not a terminal" --uninstall --purge </dev/null
says "file    $SECRETS_DIR/redis_url"
! on_terminal no "--uninstall --purge" || fail "--purge does not need the answer yes"
still_serves "$(native_pid)"
touch "$SECRETS_DIR/mine"
on_terminal yes "--uninstall --purge" || fail "--purge failed"
[[ $(ls "$SECRETS_DIR") == mine && ! -e $STATE_DIR ]] || fail "--purge left data or secrets, or deleted another file"
install --uninstall --purge --yes
echo "deploy/test-native.sh: all passed in $SECONDS s"
