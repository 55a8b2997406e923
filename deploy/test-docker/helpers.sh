# Functions of deploy/test-docker.sh.
# shellcheck shell=bash disable=SC2154,SC2086 # deploy/test-docker.sh sets the variables

step() { echo "--- $* (at $SECONDS s)"; }
fail() { echo "deploy/test-docker.sh: $*" >&2 && exit 1; }

port_is_free() { ! { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null; }

# remove PROJECT: removes everything in the engine that belongs to a test of this name.
remove() {
    local label="label=com.docker.compose.project=$1"
    docker ps -aq --filter "$label" | xargs -r docker rm -f
    docker volume ls -q --filter "$label" | xargs -r docker volume rm
    docker network ls -q --filter "$label" | xargs -r docker network rm
    # The leftovers of the builder's first stage, which may still run after an interruption. The label of the base image
    # is on all layers above it.
    for label in auth-service.build="$1" auth-service.test="$1"; do
        docker ps -aq --filter "label=$label" | xargs -r docker rm -f
        docker image prune -f --filter "label=$label"
    done
    # The server image first, because its base images cannot be removed before it.
    docker images -q "$1-server" | xargs -r docker rmi -f
    docker images -q "$1-*" | sort -u | xargs -r docker rmi -f
    docker images -q "auth-service:${1#auth-service-}" | xargs -r docker rmi -f
    docker image prune -f --filter "label=auth-service.build=$1"
    docker image prune -f --filter "label=auth-service.test=$1"
} >/dev/null
# Prints the projects of second checkouts, and the directory of each.
projects_of_seconds() {
    docker ps -a --format '{{.Label "com.docker.compose.project"}} {{.Label "com.docker.compose.project.working_dir"}}' |
        grep -E "/$prefix-[0-9]+-second$" | sort -u || true
}

# in_tree COMMAND...: runs a command in the environment of a user who has given all settings before.
in_tree() {
    local name unset=()
    for name in $(grep -oE '\$\{[A-Z][A-Z0-9_]*' "$repository/docker-compose.yml" | cut -c3-) COMPOSE_PROJECT_NAME STATE_DIR; do
        unset+=(-u "$name")
    done
    env "${unset[@]}" "$@"
}
# Collects the output of install.sh, and what the engine reports about the containers. Neither may contain a secret.
install() {
    timeout --foreground 1800 ./install.sh "$@" >"$work/log" 2>&1 ||
        { cat "$work/log" && fail "install.sh $* failed"; }
    cp "$work/log" "$work/install"
    cat "$work/log" >>"$work/said"
    ! grep -q "WITHOUT DOCKER" "$work/log" || { cat "$work/log" && fail "install.sh installed without Docker"; }
}
collect() {
    local ids
    ids=$($TEST_COMPOSE ps -aq)
    # shellcheck disable=SC2086 # one word for each id
    docker inspect $ids >>"$work/said"
    $TEST_COMPOSE logs >>"$work/said" 2>&1
    cat "$SECRETS_DIR"/* >>"$work/secret-texts"
}
# says WORDS...: the last output has all of the words.
says() {
    local words
    for words in "$@"; do
        grep -qF -- "$words" "$work/log" || { cat "$work/log" && fail "the output lacks: $words"; }
    done
}
account='{"email": "ada@example.com", "password": "correct horse battery"}'
ask() { curl -s -m 8 "$@" -H 'Content-Type: application/json' || true; }
status() { ask -o /dev/null -w '%{http_code}' "$@"; }
post() { status "http://${3:-127.0.0.1}:$PORT$1" -d "$2"; }
replicas() { $TEST_COMPOSE ps -q server | sort; }

# Signs in again and again, from now until stop_load.
start_load() {
    : >"$work/statuses"
    (while :; do post /authenticate "$account"; echo; sleep 0.05; done) >"$work/statuses" 2>/dev/null &
    load=$!
}
stop_load() {
    kill $load
    wait $load 2>/dev/null || true
    load=''
    # The last line may be incomplete.
    echo "$1: $(grep -c . "$work/statuses") requests sent, $(grep -c -vE '^(200)?$' "$work/statuses" || true) failed"
    ! grep -qvE '^(200)?$' "$work/statuses" || fail "requests failed: $(sort "$work/statuses" | uniq -c)"
    (($(wc -l <"$work/statuses") > 20)) || fail "too few requests were sent"
}

# Runs the command that the output of the last install.sh shows after the given word.
shown() { eval "$(sed -n "s/^  $1: *//p" "$work/install")" </dev/null; }
commands_work() {
    grep -qF "whose .env names the Compose project $COMPOSE_PROJECT_NAME" "$work/install" || fail "the project is not named"
    shown accounts >"$work/log" 2>&1 || true
    says "ada@example.com id"
    shown check >"$work/log" 2>&1 || true
    says "all permitted"
    # The commands of docs/deploying.md.
    $TEST_COMPOSE run --rm -T --no-deps server doctor >"$work/log" 2>&1 || true
    says "all permitted"
    if [[ $TEST_COMPOSE == "docker compose" ]]; then
        (cd / && docker compose -p "$COMPOSE_PROJECT_NAME" exec -T server auth-service doctor) >"$work/log" 2>&1 || true
        says "all permitted"
    fi
}
# refuses WORDS [NAME=VALUE]: install.sh fails, says the words, and leaves every container as it was.
refuses() {
    ! timeout --foreground 300 env "${@:2}" ./install.sh >"$work/log" 2>&1 || fail "install.sh succeeded with: $*"
    says "$1" "running now: 3 replicas, 0 of them new" "the service answers on http://localhost:$PORT"
    [[ $(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | sort) == "$containers" ]] ||
        fail "a failed update changed the containers: $*"
}
