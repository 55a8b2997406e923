#!/usr/bin/env bash
# Tests the deployment in real containers, with docker-compose and with `docker compose`. Builds the image, runs
# install.sh, and then changes, kills and restores containers under load through the published port. If no registry
# answers, makes the base images with deploy/stand-ins.sh. Works on a copy of the tree, so that your .env and your
# secrets stay untouched, and leaves nothing behind except target/. If no engine answers, the test says so and does
# nothing.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
export PATH=$PATH:/usr/sbin:/sbin

docker info >/dev/null 2>&1 || { echo "deploy/test-docker.sh: skipped, because no Docker engine answers" && exit 0; }
as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

prefix=auth-service-test
export COMPOSE_PROJECT_NAME="$prefix-$$"
export SERVER_IMAGE="$COMPOSE_PROJECT_NAME-server"
repository=$PWD
work=$(mktemp -d)
# A second checkout. Its containers name this directory, so that a later test finds them.
second=$work/$COMPOSE_PROJECT_NAME-second
export SECRETS_DIR=$work/secrets STATE_DIR=$work/native
# As root, sets a user that is neither root nor the image's user, to test that the replicas run as the owner of the
# secrets.
if ((EUID == 0)); then export SERVICE_USER=4321:4321; else SERVICE_USER=$(id -u):$(id -g) && export SERVICE_USER; fi
IMAGE_REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
export IMAGE_REVISION IMAGE_SOURCE=https://git.example.com/auth-service

source deploy/test-docker/helpers.sh

load='' stats='' installer=''
clean_up() {
    local status=$?
    trap - EXIT
    # shellcheck disable=SC2086 # those that run
    kill $load $stats $installer 2>/dev/null || true
    [[ -z $installer ]] || wait "$installer" 2>/dev/null || true
    if ((status != 0)) && [[ -n ${tree-} ]]; then
        docker ps -a --filter "name=$COMPOSE_PROJECT_NAME"
        (cd "$tree" && $TEST_COMPOSE logs --tail=5 2>&1) | cut -c1-300 || true
        # install.sh may have installed without Docker.
        (cd "$tree" && ./install.sh --uninstall) >/dev/null 2>&1 || true
    fi
    while read -r project _; do remove "$project" || true; done < <(projects_of_seconds | grep -F "$second")
    remove "$COMPOSE_PROJECT_NAME-second" || true
    remove "$COMPOSE_PROJECT_NAME" || true
    rm -rf "$work" 2>/dev/null || as_root rm -rf "$work"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Removes the leftovers of tests that were killed.
objects=$(docker ps -a --format '{{.Names}}' && docker volume ls -q && docker images --format '{{.Repository}}')
# shellcheck disable=SC2013 # there is one on each line
for project in $(grep -oE "^$prefix-[0-9]+" <<<"$objects" | sort -u); do
    [[ -e /proc/${project##*-} ]] || { echo "removing the leftovers of $project" && remove "$project"; }
done
while read -r project directory; do
    directory=${directory%-second}
    [[ -e /proc/${directory##*-} ]] || { echo "removing the leftovers of $project" && remove "$project"; }
done < <(projects_of_seconds)

PORT=$((20000 + $$ % 10000))
until port_is_free $PORT; do PORT=$((PORT + 1)); done
export PORT

step "base images"
DEBIAN_IMAGE=${DEBIAN_IMAGE:-debian:trixie-slim}
for name in RUST RUNTIME REDIS HAPROXY; do
    name+=_IMAGE
    image=${!name:-$(sed -n "s/.*{$name:-\([^}]*\)}.*/\1/p" docker-compose.yml)}
    docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" >/dev/null 2>&1 || {
        as_root env PATH="$PATH" deploy/stand-ins.sh "$COMPOSE_PROJECT_NAME" "$(rustc --print sysroot)"
        export RUST_IMAGE=$COMPOSE_PROJECT_NAME-rust RUNTIME_IMAGE=$COMPOSE_PROJECT_NAME-runtime
        export REDIS_IMAGE=$COMPOSE_PROJECT_NAME-redis HAPROXY_IMAGE=$COMPOSE_PROJECT_NAME-haproxy
        # This one has apt, too.
        DEBIAN_IMAGE=$REDIS_IMAGE
        # The build reaches crates.io in the same way as this machine.
        export BUILD_NETWORK=host
        break
    }
done

# The path contains a symbolic link, as on many servers.
mkdir "$work/real"
tar -c --exclude=./target --exclude=./.git --exclude='./.env' --exclude=./data --exclude=./deploy/secrets \
    --exclude=./deploy/native . | tar -x -C "$work/real"
ln -s "$work/real" "$work/tree"
tree=$work/tree
cd "$tree"
if docker compose version >/dev/null 2>&1; then TEST_COMPOSE="docker compose"; else TEST_COMPOSE=docker-compose; fi
export TEST_COMPOSE

step "install"
install
grep -E '^Ready after' "$work/log" | cut -d. -f1 | sed 's/^Ready/install.sh, building the image: ready/'
for word in "Waiting until" "Containers:" "stop: .*stop" "start: .*start" "curl -s localhost:$PORT/signup"; do
    grep -qE "$word" "$work/log" || { cat "$work/log" && fail "install.sh does not say $word"; }
done
base=$(docker image inspect --format '{{.Size}}' "${RUNTIME_IMAGE:-gcr.io/distroless/cc-debian13:nonroot}")
size=$(docker image inspect --format '{{.Size}}' "$SERVER_IMAGE")
echo "image: $((size / 1000)) kB, $(((size - base) / 1000)) kB of it beyond the base"
((size - base < 25000000)) || fail "the image has more than 25 MB beyond its base"

memory() {
    docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' |
        sed -n "s/^${COMPOSE_PROJECT_NAME}[-_]server[-_][0-9]* \([^ ]*\).*/\1/p"
}
step "properties of the containers"
echo "memory of a replica at rest: $(memory | sort -h | tail -1)"
labels=$(docker inspect --format '{{json .Config.Labels}}' "$SERVER_IMAGE")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
for label in title:auth-service "version:$version" "revision:$IMAGE_REVISION" "source:$IMAGE_SOURCE"; do
    [[ $labels == *"\"org.opencontainers.image.${label%%:*}\":\"${label#*:}\""* ]] ||
        fail "the image lacks the label $label; it has $labels"
done
for id in $(replicas); do
    [[ $(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' "$id") == "$SERVICE_USER true" ]] ||
        fail "a replica is not read-only or runs as another user"
    docker exec "$id" /usr/local/bin/auth-service health >/dev/null
done
docker export "$(replicas | head -1)" | tar -t >"$work/files"
grep -qx usr/local/bin/auth-service "$work/files" || fail "the image's files cannot be listed"
! grep -E '(^|/)s?bin/(sh|bash|dash|busybox|apt|apt-get|dpkg|apk|rpm|dnf|yum|pip|perl|python3?)$' "$work/files" ||
    fail "there is a shell or a package manager in the image"
docker cp "$(replicas | head -1):/usr/share/doc/auth-service/sbom.cdx.json" "$work/sbom"
docker cp "$(replicas | head -1):/usr/local/bin/auth-service" "$work/program"
python3 .ci/sbom.py "$work/sbom" "$work/program"
for secret in "$SECRETS_DIR"/*; do
    [[ $(stat -c '%a %u' "$secret") == "600 ${SERVICE_USER%:*}" ]] || fail "$secret has a wrong mode or owner"
done
[[ $(post /signup "$account") == 201 ]] || fail "the sign-up failed"
commands_work

step "the API suite on the published port"
(cd "$repository" && cargo test --quiet --locked --test api --no-run)
(cd "$repository" && TEST_PUBLISHED_PORT=$PORT timeout --foreground 300 \
    cargo test --quiet --locked --test api -- contract:: --skip Embedded) >"$work/log" 2>&1 || { cat "$work/log"; fail "the API suite failed"; }
grep '^test result' "$work/log"

step "changes under load"
(while sleep 2; do memory || true; done) >"$work/stats" 2>/dev/null &
stats=$!
# The program runs Compose, which looks for docker-compose.yml in the working directory, so cargo must not start it.
binary=$(cd "$repository" && cargo test --quiet --locked --test containers --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"containers".*"executable":"\([^"]*\)".*/\1/p' | tail -1)
timeout --foreground 400 "$binary" --nocapture
kill $stats
stats=''
echo "most memory of a replica under load: $(sort -h "$work/stats" | tail -1)"
collect

step "a failed update changes nothing; a corrected update succeeds"
before=$(replicas)
start_load
echo "PASSWORD_MIN_SCORE=9" >>.env
! timeout --foreground 300 ./install.sh >"$work/log" 2>&1 || fail "a wrong setting was installed"
says "PASSWORD_MIN_SCORE must be"
says "running now: 3 replicas, 0 of them new" "the service answers on http://localhost:$PORT"
[[ $(replicas) == "$before" ]] || fail "a failed update changed the replicas"
sed -i /PASSWORD_MIN_SCORE/d .env
containers=$(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | sort)
cp Dockerfile "$work/Dockerfile"
echo "COPY no-such-file /" >>Dockerfile
refuses "the image cannot be built"
cp "$work/Dockerfile" Dockerfile
refuses "a new container is not healthy" REDIS_MAXMEMORY=plenty
refuses "does not accept deploy/haproxy/haproxy.cfg or the address 192.0.2.1:$PORT" PUBLISH_ADDRESS=192.0.2.1
! grep -E 'PASSWORD_MIN_SCORE|REDIS_MAXMEMORY|PUBLISH_ADDRESS' .env || fail "install.sh saved a wrong setting"
./install.sh >"$work/log" 2>&1 &
installer=$!
for _ in {1..300}; do ! grep -q "new replica is healthy" "$work/log" || break; sleep 0.2; done
kill -TERM $installer
! wait $installer || fail "install.sh was not interrupted"
installer=''
says "interrupted while replacing the replicas" "running now: 3 replicas, 0 of them new" "to finish, run this again"
[[ $(replicas) == "$before" ]] || { cat "$work/log" && fail "an interrupted update changed the replicas"; }
# The load balancer's new configuration, a new signing secret and fewer replicas, all in one.
secret=$(cat "$SECRETS_DIR/refresh_secret_key")
token=$(ask "http://127.0.0.1:$PORT/authenticate" -d "$account" | sed 's/.*"access_token":"\([^"]*\).*/\1/')
profile() { status "http://127.0.0.1:$PORT/user" -H "Authorization: $token"; }
[[ $(profile) == 200 ]] || fail "the profile cannot be fetched"
rm -f "$SECRETS_DIR/auth_secret_key"
# Replaces the file, as git does.
cfg=deploy/haproxy/haproxy.cfg
sed 's/^    default_backend replicas/    http-response set-header X-Test new\n&/' $cfg >$cfg.new
mv $cfg.new $cfg
install --replicas 2
grep -E '^Ready after' "$work/log" | cut -d. -f1 | sed 's/^Ready/install.sh again, replacing replicas: ready/'
stop_load "install.sh failing, interrupted, and replacing replicas"
[[ $(profile) == 401 ]] || fail "a token of the old signing secret is still valid"
[[ $(cat "$SECRETS_DIR/refresh_secret_key") == "$secret" ]] || fail "a secret was overwritten"
[[ $(ask -i "http://127.0.0.1:$PORT/readyz") == *[Xx]-[Tt]est:\ new* ]] ||
    fail "the load balancer has its old configuration"
are_new() { [[ $(replicas | wc -l) == "$1" && -z $(comm -12 <(sort <<<"$before") <(replicas)) ]]; }
are_new 2 || fail "replicas were not replaced"
collect

step "back up, destroy, restore, sign in"
(cd "$work" && real/deploy/backup.sh save rdb)
[[ -z $(find "$work" -maxdepth 1 -name 'rdb.*') ]] || fail "backup.sh leaves files behind"
! DOCKER_HOST=unix:///nonexistent ./install.sh --uninstall --purge --yes >"$work/log" 2>&1 ||
    fail "install.sh purged without the engine"
! DOCKER_HOST=unix:///nonexistent ./install.sh >>"$work/log" 2>&1 || fail "an empty store replaced the accounts"
[[ -e $SECRETS_DIR/redis_url && ! -e $STATE_DIR ]] || fail "secrets are lost, or a server without Docker was installed"
! ./install.sh --uninstall --purge </dev/null >"$work/log" 2>&1 || fail "--purge does not ask"
volume=${COMPOSE_PROJECT_NAME}_redis-data
says "volume  $volume" "image   $SERVER_IMAGE" "without a name, of its builds" "file    $SECRETS_DIR/redis_password" "is not a terminal"
[[ $(post /authenticate "$account") == 200 ]] || fail "--purge stopped the service before the answer"
# --purge keeps images with another name, so that the next build takes seconds.
built="label=auth-service.build=$COMPOSE_PROJECT_NAME"
for id in $(docker images -q --filter dangling=true --filter "$built"); do docker tag "$id" "$COMPOSE_PROJECT_NAME-keep:$id"; done
install --uninstall --purge --yes
[[ ! -e $SECRETS_DIR ]] || fail "--purge keeps secrets"
[[ -z $(docker volume ls -q --filter "name=$volume")$(docker images -q "$SERVER_IMAGE") ]] ||
    fail "--purge keeps the volume or the image"
install
[[ $(replicas | wc -l) == 2 ]] || fail "the number of replicas was not kept"
[[ $(post /authenticate "$account") == 401 ]] || fail "the account still exists after --purge"
head -c 2000 "$work/rdb" >"$work/broken"
! deploy/backup.sh restore "$work/broken" >"$work/log" 2>&1 || fail "a broken backup was restored"
[[ $(post /signup "$account") == 201 ]] || { cat "$work/log"; fail "a broken backup stopped the service"; }
deploy/backup.sh restore "$work/rdb" >"$work/log" 2>&1 || { cat "$work/log"; fail "the backup was not restored"; }
[[ $(post /authenticate "$account") == 200 ]] || fail "the account is missing after the restore"
collect

step "uninstall keeps data and secrets; a new Redis password; by docker compose v2"
install --uninstall
[[ -z $(docker ps -aq --filter "name=$COMPOSE_PROJECT_NAME") ]] || fail "containers are left"
if [[ $TEST_COMPOSE == docker-compose ]]; then
    "$repository/deploy/tools.sh"
    # The classic builder reuses the layers that docker-compose has cached.
    DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
    export DOCKER_HOST DOCKER_CONFIG=$repository/target/tools/docker DOCKER_BUILDKIT=0 TEST_COMPOSE="docker compose"
fi
$TEST_COMPOSE version
rm "$SECRETS_DIR"/redis_*
install
commands_work
[[ $(post /authenticate "$account") == 200 ]] || fail "data or secrets are gone"
# Stops the containers as install.sh advises. The next install starts new replicas with the new settings.
$TEST_COMPOSE stop >/dev/null 2>&1
before=$($TEST_COMPOSE ps -aq server)
[[ $(wc -l <<<"$before") == 2 ]] || fail "the stopped replicas are not listed"
PUBLISH_ADDRESS=127.0.0.2 install --replicas 3
are_new 3 || fail "install.sh started old replicas again"
[[ $(post /authenticate "$account" 127.0.0.2) == 200 ]] || fail "the load balancer is not at its new address"
before=$(replicas)
in_tree ./install.sh --replicas 1 >"$work/log" 2>&1 || { cat "$work/log" && fail "install.sh does not remember its settings"; }
are_new 1 || fail "replicas were not replaced"
[[ $(post /authenticate "$account" 127.0.0.2) == 200 ]] || fail "install.sh does not remember the port or the address"
collect

source "$repository/deploy/test-docker/checkouts.sh"

source "$repository/deploy/test-docker/package.sh"

step "--purge leaves nothing"
docker images --format '{{.Repository}}:{{.Tag}}' "$COMPOSE_PROJECT_NAME-keep" | xargs docker rmi >/dev/null
# The search for secrets below needs the image.
docker history --no-trunc "$SERVER_IMAGE" >>"$work/said"
install --uninstall --purge --yes
name=name=$COMPOSE_PROJECT_NAME
[[ -z $(docker ps -aq --filter "$name")$(docker volume ls -q --filter "$name")$(docker images -aq --filter "$built") ]] ||
    fail "containers, a volume or images are left"

step "no secret in any output"
# The search below is meaningless if the collected text is incomplete.
for text in '"route":"/user"' "Made the secret" /run/secrets/redis_url; do
    grep -qF "$text" "$work/said" || fail "the collected text lacks $text"
done
sort -u "$work/secret-texts" >"$work/patterns"
(($(wc -l <"$work/patterns") >= 8)) || fail "the secrets were not collected"
grep -nF -f "$work/patterns" "$work/said" >"$work/found" || true
[[ ! -s $work/found ]] || fail "the output of install.sh or the engine has a secret: $(cut -c1-200 "$work/found")"
# The sample request of install.sh is the only exception.
grep -nF "correct horse" "$work/said" | grep -vF '"email": "ada@example.com"' >"$work/found" || true
[[ ! -s $work/found ]] || fail "a password was logged: $(cut -c1-200 "$work/found")"
echo "deploy/test-docker.sh: all passed in $SECONDS s"
