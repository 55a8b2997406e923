#!/usr/bin/env bash
# Proves the deployment with real containers: builds the Dockerfile, runs install.sh and docker-compose.yml, then changes,
# kills and restores what runs, under load through the published port. Where no registry answers it makes the base
# images itself (deploy/stand-ins.sh). Leaves nothing behind but target/stand-ins. Says so where no engine answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

docker info >/dev/null 2>&1 || { echo "deploy/test-docker.sh: left out, because no Docker engine answers here" && exit 0; }

export COMPOSE_PROJECT_NAME="auth-service-test-$$"
export PORT=$((20000 + $$ % 10000))
export SERVER_IMAGE="$COMPOSE_PROJECT_NAME-server"
work=$(mktemp -d)
export SECRETS_DIR=$work/secrets STATE_DIR=$work/native
if docker compose version >/dev/null 2>&1; then TEST_COMPOSE="docker compose"; else TEST_COMPOSE=docker-compose; fi
export TEST_COMPOSE

names=("$COMPOSE_PROJECT_NAME"-{rust,runtime,redis,haproxy})
clean_up() {
    local status=$?
    trap - EXIT
    if ((status != 0)); then
        docker ps -a --filter "name=$COMPOSE_PROJECT_NAME"
        $TEST_COMPOSE logs --tail=5 2>&1 | cut -c1-300
    fi
    $TEST_COMPOSE down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    docker rmi -f "$SERVER_IMAGE" "${names[@]}" >/dev/null 2>&1 || true
    # What the builder left of its first stage.
    docker image prune -f --filter "label=auth-service.stage=build" >/dev/null 2>&1 || true
    rm -rf "$work"
    exit $status
}
trap clean_up EXIT

step() { echo "--- $* (at $SECONDS s)"; }
fail() { echo "deploy/test-docker.sh: $*" >&2 && exit 1; }

if ! docker image inspect redis:8.0-bookworm >/dev/null 2>&1 && ! docker pull -q redis:8.0-bookworm >/dev/null 2>&1; then
    step "stand-ins for the base images"
    deploy/stand-ins.sh "$COMPOSE_PROJECT_NAME"
    export RUST_IMAGE=${names[0]} RUNTIME_IMAGE=${names[1]} REDIS_IMAGE=${names[2]} HAPROXY_IMAGE=${names[3]}
    # As this machine reaches crates.io.
    export BUILD_NETWORK=host
fi

step "install"
timeout 900 ./install.sh
base=$(docker image inspect --format '{{.Size}}' "${RUNTIME_IMAGE:-gcr.io/distroless/cc-debian13:nonroot}")
size=$(docker image inspect --format '{{.Size}}' "$SERVER_IMAGE")
echo "image: $((size / 1000)) kB, $(((size - base) / 1000)) kB of it beyond the base"
((size - base < 25000000)) || fail "the image has more than 25 MB beyond its base"

step "what the containers are"
for id in $($TEST_COMPOSE ps -q server); do
    docker exec "$id" /bin/sh -c true >/dev/null 2>&1 && fail "there is a shell in the image"
    [[ $(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' "$id") == "65532:65532 true" ]] ||
        fail "a replica is not read-only or runs as root"
    docker exec "$id" /usr/local/bin/auth-service health
done
for secret in "$SECRETS_DIR"/*; do
    [[ $(stat -c %a "$secret") == 600 ]] || fail "$secret has not mode 0600"
    # Neither in what the engine tells nor in what was logged.
    # shellcheck disable=SC2046 # one word for each id
    ! docker inspect $($TEST_COMPOSE ps -q) | grep -qF -f "$secret" || fail "$secret is in docker inspect"
    ! $TEST_COMPOSE logs 2>&1 | grep -qF -f "$secret" || fail "$secret is in the logs"
done
[[ $(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/readyz") == 200 ]] || fail "not ready"

step "memory at rest"
docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'
step "changes under load"
(while sleep 4; do docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'; done) >"$work/stats" &
stats=$!
timeout 300 cargo test --quiet --test api -- containers --nocapture
kill $stats
echo "most memory under load: $(grep server_ "$work/stats" | sort -k2 -h | tail -1)"

step "install again: secrets stay, replicas are replaced under load"
before=$(cat "$SECRETS_DIR"/* | sha256sum)
old=$($TEST_COMPOSE ps -q server)
account='{"email": "ada@example.com", "password": "correct horse battery"}'
post() { curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT$1" -H 'Content-Type: application/json' -d "$2"; }
[[ $(post /signup "$account") == 201 ]] || fail "no sign-up"
sent=0 failed=0
timeout 300 ./install.sh --replicas 2 >"$work/log" &
installer=$!
while kill -0 $installer 2>/dev/null; do
    sent=$((sent + 1))
    [[ $(post /authenticate "$account") == 200 ]] || failed=$((failed + 1))
    sleep 0.05
done
wait $installer || { cat "$work/log"; fail "the second install failed"; }
echo "install.sh again: $sent requests sent, $failed failed"
((failed == 0 && sent > 20)) || fail "requests failed while replicas were replaced"
[[ $(cat "$SECRETS_DIR"/* | sha256sum) == "$before" ]] || fail "secrets changed"
new=$($TEST_COMPOSE ps -q server)
[[ $(wc -l <<<"$new") == 2 && -z $(comm -12 <(sort <<<"$old") <(sort <<<"$new")) ]] || fail "replicas were not replaced"

step "back up, destroy, restore, sign in"
deploy/backup.sh save "$work/rdb"
./install.sh --uninstall --purge >/dev/null
[[ ! -e $SECRETS_DIR ]] || fail "--purge keeps secrets"
./install.sh >/dev/null
[[ $(post /authenticate "$account") == 401 ]] || fail "the account outlived --purge"
deploy/backup.sh restore "$work/rdb"
[[ $(post /authenticate "$account") == 200 ]] || fail "the account is not back"

step "uninstall keeps data and secrets; a new Redis password"
./install.sh --uninstall
[[ -z $(docker ps -aq --filter "name=$COMPOSE_PROJECT_NAME") ]] || fail "containers are left"
rm "$SECRETS_DIR"/redis_*
./install.sh >/dev/null
[[ $(post /authenticate "$account") == 200 ]] || fail "data or secrets are gone"
echo "deploy/test-docker.sh: all passed in $SECONDS s"
