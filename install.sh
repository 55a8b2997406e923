#!/usr/bin/env bash
# Installs the server on this machine. A later run builds the image again and replaces the replicas one by one.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")"

usage() {
    cat <<'TEXT'
Usage: ./install.sh [--replicas N] [--native]
       ./install.sh --uninstall [--purge]

Starts Redis, replicas of the server and a load balancer on http://localhost:3000, with Docker. A later run builds the
image again and replaces the replicas one by one, without downtime. It also applies changed settings in .env. If no
Docker engine answers, the script does the same as with --native.

  --replicas N   sets the number of replicas, 1 to 19, and saves it in .env as REPLICA_COUNT; 3 by default
  --native       builds with cargo and runs one server on the embedded store, without Docker
  --uninstall    stops and removes everything that this script started; keeps data and secrets
  --purge        with --uninstall: deletes data and secrets too; this cannot be undone

PORT (3000 by default) and the settings that docker-compose.yml names come from the environment or from .env.
TEXT
}

say() { echo "==> $*"; }
fail() {
    echo "install.sh: $1" >&2
    shift
    (($# == 0)) || printf '            %s\n' "$@" >&2
    exit 1
}

is_count() { [[ $1 =~ ^([1-9]|1[0-9])$ ]]; }

native='' uninstall='' purge='' replicas=''
while (($#)); do
    case $1 in
        --native) native=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --replicas)
            is_count "${2-}" || fail "--replicas takes a number from 1 to 19"
            replicas=$2
            shift
            ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
[[ -z $purge || -n $uninstall ]] || fail "--purge is only allowed with --uninstall"

# Prints a setting from the environment, or else from .env.
setting() {
    local line
    [[ -z ${!1-} ]] || { echo "${!1}" && return; }
    line=$(grep -E "^$1=" .env 2>/dev/null | tail -1) || true
    line=${line#*=}
    # As the server and Compose read it: a comment may follow the value, after a space.
    if [[ $line =~ ^\"([^\"]*)\" || $line =~ ^\'([^\']*)\' ]]; then
        line=${BASH_REMATCH[1]}
    else
        line=$(sed -E 's/(^|[[:space:]]+)#.*//; s/[[:space:]]+$//' <<<"$line")
    fi
    echo "$line"
}
# remember NAME VALUE: writes a setting to .env, for later runs and for direct use of Compose.
remember() {
    if grep -qsE "^$1=" .env; then
        sed -i "s/^$1=.*/$1=$2/" .env
    else
        # The last line may lack its line break.
        [[ -z $(tail -c 1 .env 2>/dev/null) ]] || echo >>.env
        echo "$1=$2" >>.env
    fi
    say "Saved $1=$2 in .env"
}
port=$(setting PORT)
port=${port:-3000}
secrets=$(setting SECRETS_DIR)
secrets=${secrets:-deploy/secrets}
state=$(setting STATE_DIR)
state=${state:-deploy/native}

# Prints the address at which a client on this machine reaches a server that listens at the given address.
reached_at() {
    local address=${1#[}
    address=${address%]}
    case $address in
        '' | 0.0.0.0 | localhost) echo 127.0.0.1 ;;
        ::) echo ::1 ;;
        *) echo "$address" ;;
    esac
}
address=$(reached_at "$(setting "$([[ -n $native ]] && echo HOST || echo PUBLISH_ADDRESS)")")

# Bash itself connects, so that no other program is needed.
listens() { { exec 3<>"/dev/tcp/$address/$port"; } 2>/dev/null && exec 3>&-; }
# Whether GET /readyz answers 200.
ready() {
    local status
    { exec 3<>"/dev/tcp/$address/$port"; } 2>/dev/null || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    read -r -t 3 _ status _ <&3 || true
    exec 3>&-
    [[ ${status-} == 200 ]]
}
port_is_taken() {
    fail "port $port of $address is taken" \
        "stop the program that listens there, or use another port: PORT=8080 ./install.sh${native:+ --native}"
}

# wait_for SECONDS WHAT COMMAND...: repeats COMMAND until it succeeds, and prints a dot for each try.
wait_for() {
    local seconds=$1 what=$2 start=$SECONDS
    shift 2
    printf '==> Waiting until %s ' "$what"
    until "$@"; do
        if ((SECONDS - start >= seconds)); then
            echo " failed: not within $seconds s"
            return 1
        fi
        printf .
        sleep 0.5
    done
    echo " ok ($((SECONDS - start)) s)"
}

show_first_request() {
    local host=$address
    case $host in
        127.0.0.1 | ::1) host=localhost ;;
        *:*) host="[$host]" ;;
    esac
    cat <<TEXT

Ready after $SECONDS s. The server answers on http://$host:$port. A first request:
  curl -s $host:$port/signup -H 'Content-Type: application/json' \\
    -d '{"email": "ada@example.com", "password": "correct horse battery"}'
TEXT
}

# ---------------------------------------------------------------------------------------------------- without Docker
native_pid() {
    local pid program
    pid=$(cat "$state/pid" 2>/dev/null) && program=$(readlink "/proc/$pid/exe") || return 1
    # The kernel appends " (deleted)" if the file of a running program was replaced.
    [[ ${program% (deleted)} == "$(realpath -m "$state/auth-service")" ]] && echo "$pid"
}

stop_native() {
    local pid
    pid=$(native_pid) || return 0
    say "Stopping the server, process $pid"
    kill "$pid"
    wait_for 20 "the server has ended" bash -c "! kill -0 $pid 2>/dev/null" ||
        fail "process $pid does not end" "to kill it: kill -9 $pid"
    rm -f "$state/pid"
}

native_is_ready() { native_pid >/dev/null || fail "the server ended" "see its log: $state/log"; ready; }

install_native() {
    local pid
    type -P cargo >/dev/null || fail "cargo is not installed" "install Rust 1.95 or later, then run this again"
    [[ ! -e $secrets/redis_url ]] || say "The embedded store does not have the accounts of the installation with Docker"
    say "Building with cargo (the first build takes minutes)"
    cargo build --profile dist --locked ||
        fail "the build failed, for the reason above" "the build needs a C compiler: gcc or clang"
    stop_native
    ! listens || port_is_taken
    (umask 077 && mkdir -p "$state")
    # A copy, because a later build must not replace the program of a running server.
    install -m 755 "${CARGO_TARGET_DIR:-target}/dist/auth-service" "$state/auth-service"
    PORT=$port DATA_DIR=$state/data nohup "$state/auth-service" >>"$state/log" 2>&1 </dev/null 9<&- &
    pid=$!
    echo $pid >"$state/pid"
    # At first the process is still this script, or nohup.
    for _ in {1..20}; do ! native_pid >/dev/null || break; sleep 0.05; done
    wait_for 30 "the server is ready" native_is_ready || {
        kill $pid
        fail "the server did not become ready, and was stopped" "see its log: $state/log"
    }
    show_first_request
    cat <<TEXT

One server (process $pid) runs on the embedded store in $state/data. Its log is $state/log.
  stop:       kill $pid
  start:      ./install.sh --native
  uninstall:  ./install.sh --uninstall          (keeps the data; with --purge, deletes them too)
TEXT
}

# ------------------------------------------------------------------------------------------------------- with Docker
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
else
    compose=docker-compose
fi

engine_answers() {
    type -P docker >/dev/null || { say "Docker is not installed" && return 1; }
    docker info >/dev/null 2>&1 || { say "No Docker engine answers: start it, or join the group docker" && return 1; }
}
compose_is_there() {
    $compose version >/dev/null 2>&1 ||
        fail "Docker Compose is not installed" \
            "install docker-compose (Debian) or docker-compose-plugin (Docker's packages), then run this again" \
            "or run one server on the embedded store, without Docker: ./install.sh --native"
}

# Pulls the missing base images that the Dockerfile and docker-compose.yml name.
images_are_there() {
    local image
    for image in $($compose config | sed -n 's/^ *image: //p; s/^ *\(RUST\|RUNTIME\)_IMAGE: //p'); do
        [[ $image != "$server_image" ]] || continue
        docker image inspect "$image" >/dev/null 2>&1 && continue
        say "Pulling $image"
        docker pull -q "$image" || { say "The image $image cannot be pulled" && return 1; }
    done
}

# new_secret NAME TEXT: writes the secret completely or not at all.
new_secret() {
    (umask 077 && printf '%s\n' "$2" >"$secrets/.$1.$$" && mv -n "$secrets/.$1.$$" "$secrets/$1")
    say "Made the secret $secrets/$1"
}
has_secret() { [[ -e $secrets/$1 ]]; }
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

make_secrets() {
    local user owner
    (umask 077 && mkdir -p "$secrets")
    # Existing secrets are never overwritten.
    has_secret auth_secret_key || new_secret auth_secret_key "$(random)"
    has_secret refresh_secret_key || new_secret refresh_secret_key "$(random)"
    has_secret redis_password || new_secret redis_password "$(random)"
    has_secret redis_url || new_secret redis_url "redis://:$(cat "$secrets/redis_password")@redis:6379"
    # The containers run as the owner of the files, whom SERVICE_USER in .env names. Without SERVICE_USER, an
    # installation by root uses the user of the image. Any other installation uses the user who installs, and saves that
    # user in .env for later commands.
    user=$(setting SERVICE_USER)
    if ((EUID == 0)); then
        chown "${user:-65532:65532}" "$secrets"/*
    else
        owner=${user:-$(id -u):$(id -g)}
        [[ -z $(find "$secrets" -type f ! -user "${owner%%:*}") ]] ||
            fail "some secrets in $secrets do not belong to user ${owner%%:*}, who must read them" \
                "run: sudo chown $owner $secrets/*, or run this script as root"
        [[ -n $user ]] || remember SERVICE_USER "$owner"
    fi
}

build_image() {
    local start=$SECONDS
    # These values are arguments of the command and not in docker-compose.yml, because Compose would treat each new
    # value as a changed service.
    $compose build --build-arg VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" \
        --build-arg REVISION="${IMAGE_REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}" \
        --build-arg SOURCE="$(setting IMAGE_SOURCE)" server >"$log" 2>&1 9<&- &
    building=$!
    printf '==> Building the image %s (the first build takes minutes) ' "$server_image"
    while kill -0 $building 2>/dev/null; do
        ((SECONDS % 5)) || printf .
        sleep 1
    done
    wait $building || { echo && building='' && fail_with_log "the image cannot be built"; }
    building=''
    echo " ok ($((SECONDS - start)) s)"
}

# Includes stopped replicas, because Compose would start them again unchanged.
replica_ids() { $compose ps -aq server; }
condition() { docker inspect --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1"; }
is_healthy() {
    local id
    for id in "$@"; do
        # A replica that keeps restarting ends the wait at once.
        (($(docker inspect --format '{{.RestartCount}}' "$id") < 3)) || { echo && fail_with_logs "$id"; }
        [[ $(condition "$id") == "running healthy" ]] || return 1
    done
}

# Replicas that are not in `known`: this run has started them, and they are not yet healthy.
known='' adding=''
new_replicas() { comm -13 <(sort <<<"$known") <(replica_ids | sort); }

stop_replicas() {
    docker stop --time 15 "$@" >/dev/null
    docker rm -f "$@" >/dev/null
}

# start_replicas COUNT: starts COUNT more replicas. Removes them again if one is unhealthy or the script is interrupted.
start_replicas() {
    local new
    known=$(replica_ids)
    adding=yes
    $compose up -d --no-deps --no-recreate --no-build --scale server=$(($(wc -w <<<"$known") + $1)) server \
        >/dev/null 2>"$log" || fail_with_log "a replica does not start"
    new=$(new_replicas)
    # shellcheck disable=SC2086 # one word for each id
    wait_for $((60 + 15 * $1)) "$1 new $([[ $1 == 1 ]] && echo "replica is" || echo "replicas are") healthy" \
        is_healthy $new || fail_with_logs $new
    adding=''
}

# Starts one new replica at a time, and stops one old replica when the new one is healthy. Stops unhealthy old replicas
# first. After SIGTERM, a replica reports that it is not ready, the load balancer stops using the replica, and the
# requests in flight finish.
update_replicas() {
    local id made=0 good=() bad=()
    for id in $(replica_ids); do
        case $(condition "$id") in
            "running healthy") good+=("$id") ;;
            running*) bad+=("$id") ;;
            *) say "Removing replica ${id:0:12}, which does not run" && docker rm -f "$id" >/dev/null ;;
        esac
    done
    for id in "${bad[@]}" "${good[@]}"; do
        if ((made < replicas)); then
            start_replicas 1
            made=$((made + 1))
            # The load balancer asks the DNS twice a second, and then checks the new replica.
            sleep 2
        fi
        say "Stopping the old replica ${id:0:12}"
        stop_replicas "$id"
    done
    ((made >= replicas)) || start_replicas $((replicas - made))
}

# start SERVICE: starts a service, or restarts it if its settings or its image have changed. Then sets `started`.
start() {
    local before
    before=$(incarnation "$1") started=''
    $compose up -d --no-deps --no-build "$1" >/dev/null 2>"$log" || fail_with_log "$1 does not start"
    [[ $before != "$(incarnation "$1")" ]] || return 0
    started=yes
    [[ $before != running* ]] || say "Restarted $1, because its settings or its image have changed"
}
# shellcheck disable=SC2046 # none, or one
incarnation() {
    docker inspect --format '{{.State.Status}} {{.Id}} {{.State.StartedAt}}' $($compose ps -aq "$1") 2>/dev/null || true
}

# Loses no connection: the new process takes over the listening socket, and the old process finishes its requests.
reload_load_balancer() {
    $compose exec -T load-balancer haproxy -c -q -f /etc/haproxy/haproxy.cfg ||
        fail "deploy/haproxy/haproxy.cfg has the error above" "the load balancer continues with its old configuration"
    $compose kill -s USR2 load-balancer >/dev/null 2>&1
}

fail_with_log() { cat "$log" >&2 && fail "$1, for the reason above"; }
fail_with_logs() {
    local id
    for id in "$@"; do docker logs --tail 10 "$id" 2>&1 | cut -c1-500 >&2; done
    fail "a new replica is not healthy, and was removed" "the last lines of its log are above" \
        "the old replicas still serve; fix the cause (settings are in .env), then run this again"
}

install_docker() {
    [[ $($compose port load-balancer 3000 2>/dev/null) == *:$port ]] || ! listens || port_is_taken
    [[ -z $replicas ]] || remember REPLICA_COUNT "$replicas"
    replicas=${replicas:-$(setting REPLICA_COUNT)}
    replicas=${replicas:-3}
    is_count "$replicas" || fail "REPLICA_COUNT must be a number from 1 to 19" "correct it in .env, then run this again"
    # The load balancer's user must be able to read haproxy.cfg, whatever the umask was at git clone. The script ignores
    # a failure, because the files may belong to another user.
    chmod -R a+rX deploy/haproxy 2>/dev/null || true
    make_secrets
    build_image
    start redis
    update_replicas
    start load-balancer
    [[ -n $started ]] || reload_load_balancer
    wait_for 30 "the load balancer finds the replicas" ready ||
        fail "no replica is ready behind port $port" "see the logs: $compose logs"
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
  uninstall:  ./install.sh --uninstall          (keeps data and secrets; with --purge, deletes them too)
The secrets are in $secrets: back them up once, separately from the data.
TEXT
}

# Does the same as --native, but refuses if the accounts are in the Redis of an installation with Docker.
fall_back() {
    [[ ! -e $secrets/redis_url ]] ||
        fail "the accounts are in the Redis of an installation with Docker, which cannot be started" \
            "fix the problem above, then run this again; ./install.sh --native starts a server without these accounts"
    say "WITHOUT DOCKER, for the reason above: installing one server on the embedded store, as with --native"
    native=yes address=$(reached_at "$(setting HOST)")
    install_native
}

uninstall() {
    stop_native
    if engine_answers; then
        compose_is_there
        say "Stopping and removing the containers"
        $compose down --remove-orphans ${purge:+--volumes}
    elif [[ -e $secrets ]]; then
        fail "the containers of this installation and the data in their volume can be removed only with the engine" \
            "start the Docker engine, then run this again; no container, no data and no secret was removed"
    fi
    if [[ -n $purge ]]; then
        rm -rf "${secrets:?}" "${state:?}"
        say "Removed data and secrets"
    else
        say "Kept the volume redis-data, $state and $secrets. ./install.sh uses them again"
    fi
}

log=$(mktemp)
building=''
clean_up() {
    local status=$?
    trap - EXIT
    [[ -z $building ]] || kill "$building" 2>/dev/null || true
    # Stops the replicas instead of killing them, because requests may already be in flight.
    # shellcheck disable=SC2046 # one word for each id
    [[ -z $adding || -z $(new_replicas) ]] || stop_replicas $(new_replicas) || true
    rm -f "$log"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Two runs at the same time would replace each other's replicas. The started server must not keep the lock.
if type -P flock >/dev/null; then
    exec 9<install.sh
    flock -n 9 || fail "another install.sh is running here" "wait until it has ended"
fi

server_image=$(setting SERVER_IMAGE)
server_image=${server_image:-auth-service:local}
if [[ -n $uninstall ]]; then
    uninstall
elif [[ -n $native ]]; then
    install_native
elif ! engine_answers; then
    fall_back
else
    compose_is_there
    if ! images_are_there; then
        fall_back
    elif [[ -e $state/data && ! -e $secrets/redis_url ]]; then
        fail "the accounts are in $state, the data of a server without Docker; Redis would start without them" \
            "to continue with these accounts: ./install.sh --native" \
            "to start with an empty Redis: ./install.sh --uninstall, then move $state away, then run this again"
    elif native_pid >/dev/null; then
        fail "a server without Docker is running, process $(native_pid)" \
            "./install.sh --uninstall stops it and keeps its data"
    else
        install_docker
    fi
fi
