# The installation with Docker: the engine, the images, the secrets, and the order of the steps.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

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

fail_with_log() { cat "$log" >&2 && fail "$1, for the reason above"; }

# Pulls the missing base images that the Dockerfile and docker-compose.yml name.
images_are_there() {
    local image
    $compose config >"$log" 2>&1 || fail_with_log "Compose does not accept docker-compose.yml with these settings"
    # shellcheck disable=SC2013 # there is one on each line
    for image in $(sed -n 's/^ *image: //p; s/^ *\(RUST\|RUNTIME\)_IMAGE: //p' "$log"); do
        [[ $image != "$SERVER_IMAGE" ]] || continue
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
# Sets `made_signing`, because replicas start only with secrets that the store knows.
made_signing=''
new_signing_secret() { new_secret "$1" "$(random)" && made_signing=yes; }
adopt_secrets() { $compose run --rm -T --no-deps server secrets adopt >"$log" 2>&1 </dev/null; }
has_secret() { [[ -e $secrets/$1 ]]; }
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

make_secrets() {
    local user owner
    (umask 077 && mkdir -p "$secrets")
    # Existing secrets are never overwritten.
    has_secret auth_secret_key || new_signing_secret auth_secret_key
    has_secret refresh_secret_key || new_signing_secret refresh_secret_key
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

building='' old_image=''
build_image() {
    local start=$SECONDS
    old_image=$(docker image inspect --format '{{.Id}}' "$SERVER_IMAGE" 2>/dev/null) || true
    # These values are arguments of the command and not in docker-compose.yml, because Compose would treat each new
    # value as a changed service.
    $compose build --build-arg VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" \
        --build-arg REVISION="${IMAGE_REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}" \
        --build-arg SOURCE="$(setting IMAGE_SOURCE)" --build-arg BUILD_NAME="$project" server >"$log" 2>&1 9<&- &
    building=$!
    printf '==> Building the image %s (the first build takes minutes) ' "$SERVER_IMAGE"
    while kill -0 $building 2>/dev/null; do
        ((SECONDS % 5)) || printf .
        sleep 1
    done
    wait $building || { echo && building='' && fail_with_log "the image cannot be built"; }
    building=''
    echo " ok ($((SECONDS - start)) s)"
}

# After a failure or an interruption: ends the build and the trials, removes replicas that are not yet healthy, and gives
# the name of the image back to the version that runs.
undo_docker() {
    local new
    [[ -z $building ]] || end_job "$building"
    docker rm -f "$project-trial" >/dev/null 2>&1
    new=$(new_replicas)
    # Stops the replicas instead of killing them, because requests may already be in flight.
    # shellcheck disable=SC2086 # one word for each id
    [[ -z $adding || -z $new ]] || stop_replicas $new
    [[ -z $old_image || -n $replaced ]] || docker tag "$old_image" "$SERVER_IMAGE"
}

# Says what runs after a failure or an interruption.
docker_left() {
    local service id served count=0 new=0
    for id in $(container_ids server); do
        [[ $(condition "$id") == running* ]] || continue
        count=$((count + 1))
        [[ " $old_replicas " == *" $id "* ]] || new=$((new + 1))
    done
    echo "            running now: $count replicas, $new of them new"
    for service in redis load-balancer; do
        id=$(container_ids "$service" | head -1)
        [[ -n $id && $(condition "$id") == running* ]] || echo "            $service does not run"
    done
    # The load balancer may still have the port of the last run.
    served=$(docker port "$(container_ids load-balancer | head -1)" 3000 2>/dev/null | head -1)
    [[ -z $served ]] || { address=$(reached_at "${served%:*}") && port=${served##*:}; }
    if ready; then
        echo "            the service answers on http://$(authority)"
    else
        echo "            the service does NOT answer on http://$(authority)"
    fi
    echo "            to finish, run this again; to stop everything: ./install.sh --uninstall (keeps data and secrets)"
}

# The settings of a server that this installation does not pass on.
say_ignored() {
    local name
    for name in REDIS_URL AUTH_SECRET_KEY REFRESH_SECRET_KEY; do
        [[ -z $(setting "$name") ]] ||
            say "$name is not used: the installation with Docker has its own Redis, and its secrets are in $secrets"
    done
}

install_docker() {
    local published
    published=$($compose port load-balancer 3000 2>/dev/null) || true
    [[ $published == *:$port ]] || ! listens || port_is_taken
    [[ -z $replicas ]] || REPLICA_COUNT=$replicas
    replicas=$(setting REPLICA_COUNT)
    replicas=${replicas:-3}
    is_count "$replicas" || fail "REPLICA_COUNT must be a number from 1 to 19" "correct it in .env, then run this again"
    say "Compose project $project"
    say_ignored
    # These say where the installation is, so the script saves them before it makes anything. The script saves the other
    # settings when a replica has accepted them.
    remember COMPOSE_PROJECT_NAME "$project"
    remember SERVER_IMAGE "$SERVER_IMAGE"
    remember_all SECRETS_DIR STATE_DIR PORT REPLICA_COUNT
    [[ -z $mode ]] || remember INSTALL_MODE docker
    # The load balancer's user must be able to read haproxy.cfg, whatever the umask was at git clone. The script ignores
    # a failure, because the files may belong to another user.
    chmod -R a+rX deploy/haproxy 2>/dev/null || true
    make_secrets
    undo=undo_docker left=docker_left
    old_replicas=$(container_ids server | tr '\n' ' ')
    doing="building the image"
    build_image
    doing="trying the new settings"
    try_redis
    try_load_balancer
    doing="updating Redis"
    update_redis
    doing="replacing the replicas"
    [[ -z $made_signing ]] || wait_for 30 "the store takes the new signing secrets" adopt_secrets ||
        fail_with_log "the store does not take the new signing secrets"
    update_replicas
    # shellcheck disable=SC2046 # one word for each name
    remember_all $(names_of_compose) IMAGE_SOURCE
    doing="updating the load balancer"
    start load-balancer
    [[ -n $started ]] || reload_load_balancer
    wait_for 30 "the load balancer finds the replicas" ready ||
        fail "no replica is ready behind port $port" "see the logs: $compose logs"
    doing=''
    show_installation
}

show_installation() {
    local server="$compose exec server"
    # docker-compose 1.29 finds only a replica whose number is 1, and an update makes replicas with higher numbers.
    [[ $compose == "docker compose" ]] || server="docker exec -i \$($compose ps -q server | head -n 1)"
    show_first_request
    echo
    echo "Containers:"
    # shellcheck disable=SC2046 # one word for each id
    docker inspect --format '  {{slice .Id 0 12}}  {{slice .Name 1}}' $($compose ps -q)
    cat <<TEXT

In $PWD, whose .env names the Compose project $project:
  stop:       $compose stop
  start:      $compose start
  logs:       $compose logs -f
  accounts:   $server auth-service user show ada@example.com
  check:      $server auth-service doctor
  scale:      ./install.sh --replicas 5
  uninstall:  ./install.sh --uninstall          (keeps data, secrets and images; with --purge, deletes them too)
The secrets are in $secrets: back them up once, separately from the data.
TEXT
}

# Does the same as --native, but refuses if the accounts are in the Redis of an installation with Docker.
fall_back() {
    [[ ! -e $secrets/redis_url ]] ||
        fail "the accounts are in the Redis of an installation with Docker, which cannot be started" \
            "fix the problem above, then run this again; ./install.sh --native starts a server without these accounts"
    say "WITHOUT DOCKER, for the reason above: installing one server as with --native"
    address=$(reached_at "$(setting HOST)")
    install_native
}
