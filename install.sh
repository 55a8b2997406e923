#!/usr/bin/env bash
# Installs the server on this machine and can be run again: it then builds anew and replaces one replica after another.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'TEXT'
Usage: ./install.sh [--replicas N] [--native]
       ./install.sh --uninstall [--purge]

Brings up Redis, replicas of the server and a load balancer on http://localhost:3000, by Docker. Run again, it builds
anew and replaces one replica after another, unnoticed by clients; so it also applies settings changed in .env.

  --replicas N   how many replicas; 3 at first, then as many as there are
  --native       builds by cargo and runs one server on the embedded store, without Docker
  --uninstall    stops and removes all that was started; keeps data and secrets
  --purge        with --uninstall: removes data and secrets too; nothing brings them back

PORT (3000) is read from the environment or .env, as are the settings that docker-compose.yml names.
TEXT
}

say() { echo "==> $*"; }
fail() {
    echo "install.sh: $1" >&2
    shift
    printf '            %s\n' "$@" >&2
    exit 1
}

native='' uninstall='' purge='' replicas=''
while (($#)); do
    case $1 in
        --native) native=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --replicas) replicas=${2-} && shift ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
[[ -z $replicas || $replicas =~ ^([1-9]|1[0-9])$ ]] || fail "--replicas takes a number from 1 to 19"
[[ -z $purge || -n $uninstall ]] || fail "--purge goes with --uninstall"

# One setting, as docker-compose and the server find it.
setting() {
    local line
    [[ -z ${!1-} ]] || { echo "${!1}" && return; }
    line=$(grep -E "^$1=" .env 2>/dev/null | tail -1) || true
    echo "${line#*=}"
}
port=$(setting PORT)
port=${port:-3000}
secrets=$(setting SECRETS_DIR)
secrets=${secrets:-deploy/secrets}
state=$(setting STATE_DIR)
state=${state:-deploy/native}

# ready PORT: whether GET /readyz answers 200. Bash itself asks, so that nothing has to be installed.
ready() {
    local status
    { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    read -r -t 3 _ status _ <&3 || true
    exec 3>&-
    [[ ${status-} == 200 ]]
}

# wait_for SECONDS WHAT COMMAND...: shows that time passes.
wait_for() {
    local seconds=$1 what=$2 start=$SECONDS
    shift 2
    printf '==> Waiting until %s ' "$what"
    until "$@"; do
        if ((SECONDS - start >= seconds)); then
            echo " not after $seconds s"
            return 1
        fi
        printf .
        sleep 0.5
    done
    echo " ok ($((SECONDS - start)) s)"
}

show_first_request() {
    cat <<TEXT

The server answers on http://localhost:$port. A first request:
  curl -s localhost:$port/signup -H 'Content-Type: application/json' \\
    -d '{"email": "ada@example.com", "password": "correct horse battery"}'
TEXT
}

# ---------------------------------------------------------------------------------------------------- without Docker
native_pid() {
    local pid
    pid=$(cat "$state/pid" 2>/dev/null) && [[ $(readlink "/proc/$pid/exe") == "$PWD"/* ]] && echo "$pid"
}

stop_native() {
    local pid
    pid=$(native_pid) || return 0
    say "Stopping the server, process $pid"
    kill "$pid"
    wait_for 20 "it has ended" bash -c "! kill -0 $pid 2>/dev/null" || fail "process $pid does not end" "kill -9 $pid"
    rm -f "$state/pid"
}

native_is_ready() { native_pid >/dev/null || fail "the server ended" "look at $state/log"; ready "$port"; }

install_native() {
    type -P cargo >/dev/null || fail "cargo is not installed" "install Rust 1.95 or later, then run this again"
    say "Building by cargo (the first time takes minutes)"
    cargo build --release --locked || fail "the build failed, for the reason above" "a C compiler is needed: gcc or clang"
    stop_native
    (umask 077 && mkdir -p "$state")
    # Under a name of its own: a later build must not change the program of a running server.
    install -m 755 target/release/auth-service "$state/auth-service"
    PORT=$port DATA_DIR=$state/data nohup "$state/auth-service" >>"$state/log" 2>&1 </dev/null &
    echo $! >"$state/pid"
    wait_for 30 "the server is ready" native_is_ready || fail "the server is not ready" "look at $state/log"
    show_first_request
    cat <<TEXT

One server, process $(native_pid), on the embedded store in $state/data; its log is $state/log.
  stop:       kill $(native_pid)
  start:      ./install.sh --native
  uninstall:  ./install.sh --uninstall          (keeps the data; with --purge they go too)
TEXT
}

# --------------------------------------------------------------------------------------------------------- by Docker
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
else
    compose=docker-compose
fi

docker_is_there() {
    type -P docker >/dev/null || { say "Docker is not installed" && return 1; }
    docker info >/dev/null 2>&1 || { say "No Docker engine answers: start it, or join the group docker" && return 1; }
    $compose version >/dev/null 2>&1 || { say "Docker Compose is not installed" && return 1; }
}

# image ARG: the base image that the Dockerfile or docker-compose.yml names.
images_are_there() {
    local image
    for image in $($compose config | sed -n 's/^ *image: //p; s/^ *\(RUST\|RUNTIME\)_IMAGE: //p'); do
        [[ $image != "$server_image" ]] || continue
        docker image inspect "$image" >/dev/null 2>&1 && continue
        say "Pulling $image"
        docker pull -q "$image" || { say "The image $image cannot be had" && return 1; }
    done
}

# new_secret NAME TEXT: never overwrites, and is whole or not there.
new_secret() {
    [[ ! -e $secrets/$1 ]] || return 0
    (umask 077 && printf '%s\n' "$2" >"$secrets/.$1.$$" && mv -n "$secrets/.$1.$$" "$secrets/$1")
    say "Made the secret $secrets/$1"
}
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

make_secrets() {
    (umask 077 && mkdir -p "$secrets")
    new_secret auth_secret_key "$(random)"
    new_secret refresh_secret_key "$(random)"
    new_secret redis_password "$(random)"
    new_secret redis_url "redis://:$(cat "$secrets/redis_password")@redis:6379"
    # The containers read the files as their owner. Root's are given to the image's user; for anybody else's files the
    # replicas run as that user, which .env keeps for later commands.
    if ((EUID == 0)); then
        chown 65532:65532 "$secrets"/*
    elif [[ -z $(setting SERVICE_USER) ]]; then
        echo "SERVICE_USER=$(id -u):$(id -g)" >>.env
    fi
}

replica_ids() { $compose ps -q server; }
is_healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$1") == healthy ]]; }
all_healthy() {
    local id
    for id in $(replica_ids); do is_healthy "$id" || return 1; done
}

# One more at a time, and one old one less when it is healthy. Stopping sends SIGTERM: the replica says that it is not
# ready, the load balancer turns away, and what is in flight finishes.
replace_replicas() {
    local old id
    old=$(replica_ids)
    for id in $old; do
        local now
        now=$(replica_ids | wc -l)
        say "Replacing replica ${id:0:12}"
        $compose up -d --no-deps --no-recreate --no-build --scale server=$((now + 1)) server >/dev/null 2>"$log" ||
            fail_with_log "a new replica does not start"
        wait_for 60 "the new replica is healthy" all_healthy || fail_with_logs "the new replica is not healthy"
        # The load balancer asks the DNS twice a second and then checks.
        sleep 2
        docker stop "$id" >/dev/null
        docker rm "$id" >/dev/null
    done
}

fail_with_log() { cat "$log" >&2 && fail "$1, for the reason above"; }
fail_with_logs() {
    $compose logs --tail=20 server >&2 || true
    fail "$1" "the last lines of its log are above" "what runs already goes on; run this again when it is mended"
}

install_docker() {
    local running
    make_secrets
    say "Building the image $server_image (the first time takes minutes)"
    $compose build server >"$log" 2>&1 || fail_with_log "the image cannot be built"
    running=$(replica_ids | wc -l)
    if ((running > 0)); then
        $compose up -d --no-deps --no-build redis >/dev/null 2>"$log" || fail_with_log "Redis does not start"
        replace_replicas
    fi
    replicas=${replicas:-$((running > 0 ? running : 3))}
    say "Starting Redis, $replicas replicas and the load balancer"
    $compose up -d --no-recreate --no-build --scale server="$replicas" >/dev/null 2>"$log" ||
        fail_with_log "the containers do not start (is port $port taken? PORT=8080 ./install.sh takes another)"
    wait_for 120 "the replicas are healthy" all_healthy || fail_with_logs "the replicas are not healthy"
    wait_for 30 "the load balancer finds them" ready "$port" || fail "nothing is ready on port $port" "$compose logs"
    show_first_request
    echo
    echo "Containers:"
    # shellcheck disable=SC2046 # one word for each id
    docker inspect --format '  {{slice .Id 0 12}}  {{slice .Name 1}}' $($compose ps -q)
    cat <<TEXT

  stop:       $compose stop
  start:      $compose start
  logs:       $compose logs -f
  scale:      ./install.sh --replicas 5
  uninstall:  ./install.sh --uninstall          (keeps data and secrets; with --purge they go too)
The secrets are in $secrets: back them up with the data.
TEXT
}

uninstall() {
    stop_native
    if docker_is_there >/dev/null; then
        # Files that are gone already must not stop it.
        say "Stopping and removing the containers"
        $compose down --remove-orphans ${purge:+--volumes}
    fi
    if [[ -n $purge ]]; then
        rm -rf "${secrets:?}" "${state:?}"
        say "Removed data and secrets"
    else
        say "Kept: the volume redis-data, $state and $secrets. ./install.sh finds them again"
    fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
server_image=$(setting SERVER_IMAGE)
server_image=${server_image:-auth-service:local}
if [[ -n $uninstall ]]; then
    uninstall
elif [[ -n $native ]]; then
    install_native
elif docker_is_there && images_are_there; then
    install_docker
else
    say "NOT BY DOCKER, for the reason above: installing one server on the embedded store instead, as with --native"
    install_native
fi
