# Updates the containers of an installation with Docker while it serves.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

condition() { docker inspect --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1"; }
# A container that keeps restarting ends the wait at once.
fail_if_restarting() {
    (($(docker inspect --format '{{.RestartCount}}' "$1") < 3)) && [[ $(condition "$1") != exited* ]] ||
        { echo && fail_with_logs "$1"; }
}
is_healthy() {
    local id
    for id in "$@"; do
        fail_if_restarting "$id"
        [[ $(condition "$id") == "running healthy" ]] || return 1
    done
}

fail_with_logs() {
    local id
    for id in "$@"; do docker logs --tail 10 "$id" 2>&1 | cut -c1-500 >&2; done
    fail "a new container is not healthy: the last lines of its log are above" \
        "fix the cause (settings are in .env), then run this again"
}

# Replicas that are not in `known`: this run has started them, and they are not yet healthy. `replaced` says that a
# replica of the old version has been stopped.
known='' adding='' replaced='' old_replicas=''
new_replicas() { comm -13 <(sort <<<"$known") <(container_ids server | sort); }

stop_replicas() {
    docker stop --time 15 "$@" >/dev/null
    docker rm -f "$@" >/dev/null
}

# start_replicas COUNT: starts COUNT more replicas. `undo_docker` removes them if one is unhealthy or the script is
# interrupted.
start_replicas() {
    local new
    known=$(container_ids server)
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
    for id in $(container_ids server); do
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
        replaced=yes
        stop_replicas "$id"
    done
    ((made >= replicas)) || start_replicas $((replicas - made))
}

redis_answers() {
    # shellcheck disable=SC2016 # the shell in the container expands it
    docker exec "$1" sh -c 'REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli ping' 2>/dev/null | grep -q PONG
}
trial_answers() { fail_if_restarting "$1" && redis_answers "$1"; }

# Tries Redis with the settings of this run on an empty directory, because Compose stops the Redis that serves before it
# starts the new one.
try_redis() {
    docker rm -f "$project-trial" >/dev/null 2>&1 || true
    $compose run -d --no-deps --name "$project-trial" -e REDIS_DIR=/dev/shm redis >/dev/null 2>"$log" ||
        fail_with_log "Redis does not start with these settings"
    wait_for 30 "a trial Redis accepts the settings" trial_answers "$project-trial" || fail_with_logs "$project-trial"
    docker rm -f "$project-trial" >/dev/null
}

is_wildcard() { [[ $1 == 0.0.0.0:* || $1 == *::* ]]; }
# Checks haproxy.cfg, and whether the load balancer can listen at its new address. The check cannot listen at an address
# at which the running load balancer listens.
try_load_balancer() {
    local before=$published after publish=()
    after=$(setting PUBLISH_ADDRESS)
    after=${after:-127.0.0.1}:$port
    if [[ ${before##*:} != "$port" ]] ||
        { [[ $before != "$after" ]] && ! is_wildcard "$before" && ! is_wildcard "$after"; }; then
        publish=(--publish "$after:3000")
    fi
    docker rm -f "$project-trial" >/dev/null 2>&1 || true
    $compose run --rm -T --no-deps --name "$project-trial" "${publish[@]}" load-balancer -c -q >"$log" 2>&1 </dev/null ||
        fail_with_log "the load balancer does not accept deploy/haproxy/haproxy.cfg or the address $after"
    docker rm -f "$project-trial" >/dev/null 2>&1 || true
}

update_redis() {
    local id
    start redis
    id=$(container_ids redis | head -1)
    wait_for 300 "Redis has read its data" redis_answers "$id" || fail_with_logs "$id"
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
    docker inspect --format '{{.State.Status}} {{.Id}} {{.State.StartedAt}}' $(container_ids "$1") 2>/dev/null || true
}

# Loses no connection: the new process takes over the listening socket, and the old process finishes its requests.
reload_load_balancer() {
    $compose exec -T load-balancer haproxy -c -q -f /etc/haproxy/haproxy.cfg ||
        fail "deploy/haproxy/haproxy.cfg has the error above" "the load balancer continues with its old configuration"
    $compose kill -s USR2 load-balancer >/dev/null 2>&1
}
