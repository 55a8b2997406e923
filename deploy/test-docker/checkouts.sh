# A step of deploy/test-docker.sh: a second checkout of the project on the same machine.
# shellcheck shell=bash disable=SC2154,SC2164 # deploy/test-docker.sh sets the variables and set -e

step "a second checkout has a project of its own; a project of an earlier install.sh is upgraded"
cp -a "$work/real" "$second"
cd "$second"
# shellcheck disable=SC2016 # the builder expands it
# It takes the server from the image of the first, because a build takes minutes.
printf 'FROM %s\nARG BUILD_NAME\nLABEL auth-service.build=${BUILD_NAME}\n' "$SERVER_IMAGE" >Dockerfile
# second STATUS ARGUMENTS...: runs the install.sh of the second checkout.
second() {
    local expected=$1 status=0
    shift
    in_tree "$@" >"$work/log" 2>&1 </dev/null || status=$?
    [[ $status == "$expected" ]] || { cat "$work/log" && fail "$* in a second checkout: status $status"; }
}
second 1 ./install.sh
says "the Compose project $COMPOSE_PROJECT_NAME belongs to the installation in $work/real"
forget() { sed -i -E '/^(COMPOSE_PROJECT_NAME|SERVER_IMAGE)=/d' .env; }
forget
sed -i -E '/^(SECRETS_DIR|STATE_DIR)=/d' .env
second 1 ./install.sh
says "port $PORT of 127.0.0.2 is taken"
first_port=$PORT
PORT=$((PORT + 1))
until port_is_free $PORT; do PORT=$((PORT + 1)); done
second 0 env PORT=$PORT ./install.sh
derived=auth-service-$(printf %s "$second" | sha256sum | cut -c1-8)
says "Compose project $derived"
[[ $(docker ps -q --filter "label=com.docker.compose.project=$derived" | wc -l) == 3 ]] || fail "there is no second project"
[[ $(post /authenticate "$account" 127.0.0.2) == 401 ]] || fail "the second installation shares the accounts of the first"
second 0 ./install.sh --uninstall --purge --yes
[[ -z $(docker ps -aq --filter "label=com.docker.compose.project=$derived")$(docker images -aq --filter "label=auth-service.build=$derived") ]] ||
    fail "--purge left containers or images of the second installation"
[[ $(PORT=$first_port post /authenticate "$account" 127.0.0.2) == 200 ]] || fail "the first installation has suffered"
# An earlier install.sh left the name to Compose, and saved none.
forget
earlier=$COMPOSE_PROJECT_NAME-second
second 0 env COMPOSE_PROJECT_NAME="$earlier" ./install.sh
[[ $(post /signup "$account" 127.0.0.2) == 201 ]] || fail "the sign-up failed"
forget
second 0 ./install.sh --uninstall
says "Compose project $earlier"
[[ -z $(docker ps -aq --filter "label=com.docker.compose.project=$earlier") ]] || fail "containers are left"
forget
second 0 ./install.sh
says "Compose project $earlier"
[[ $(post /authenticate "$account" 127.0.0.2) == 200 ]] || fail "the data of the earlier installation are orphaned"
second 1 env COMPOSE_PROJECT_NAME=other ./install.sh
says "the Compose project $earlier, not other"
second 0 ./install.sh --uninstall --purge --yes
cd "$tree"
PORT=$first_port
