# The start of each session. `$steps` is the directory of the steps.
mkdir "$steps/bin" "$steps/home" "$steps/work"
ln -s "$server" "$steps/bin/auth-service"
# A page that says `cargo run` or `cargo build` gets the program that cargo has built for the tests.
cat >"$steps/bin/cargo" <<END
#!/usr/bin/env bash
[[ "\$*" != 'run --release' ]] || exec "$server"
[[ "\$*" == 'build --release' ]] || { echo "the tests do not run: cargo \$*" >&2 && exit 1; }
mkdir -p target/release && ln -sf "$server" target/release/
END
# These programs could change the machine outside this directory and this network.
for program in docker docker-compose kubectl sudo systemctl; do
    printf '#!/bin/sh\necho "the tests do not run: %s" >&2\nexit 1\n' $program >"$steps/bin/$program"
done
chmod +x "$steps/bin/"*
cd "$steps/work"

# copy PATH...: copies files and directories of the project.
copy() {
    (cd "$project" && cp -r --parents "$@" "$steps/work")
}

# until_true COMMAND...: waits until the command succeeds.
until_true() {
    local try
    for ((try = 0; try < 300; try++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "in 30 s, this never succeeded: $*"
    return 1
}

# ready [PORT]: waits until the server is ready.
ready() {
    until_true curl -sf "localhost:${1-3000}/readyz"
}

# start_server [NAME=VALUE...]: starts a server with these settings, in a directory of its own.
start_server() {
    local setting port=3000
    for setting; do [[ $setting != PORT=* ]] || port=${setting#*=}; done
    mkdir -p "$steps/server"
    (cd "$steps/server" && exec env "$@" auth-service >>"$steps/server.log" 2>&1) &
    server_pid=$!
    ready $port
}

stop_server() {
    kill $server_pid
    wait $server_pid
}

# accepts_settings: a server starts with the block as its `.env`, and has no warning that the block causes.
accepts_settings() {
    local directory
    directory=$(mktemp -d -p "$steps")
    cp "$BLOCK" "$directory/.env"
    chmod 600 "$directory/.env"
    (cd "$directory" && exec auth-service --port 3999 >log 2>&1) &
    ready 3999
    kill $!
    wait $! || true
    ! grep settings_warning "$directory/log" | grep -vE '"setting":"(AUTH_SECRET_KEY|TOKEN_REMOVAL)"'
}

# start_redis [ARGUMENT...]
start_redis() {
    mkdir -p "$steps/redis"
    redis-server --dir "$steps/redis" --save '' "$@" >>"$steps/redis.log" &
    redis=$!
    until_true redis-cli ping
}

stop_redis() {
    redis-cli shutdown nosave
    wait $redis
}

# sign_up [BODY]
sign_up() {
    curl -s localhost:3000/signup --json "${1-$ada}"
}
ada='{"email": "ada@example.com", "password": "correct horse battery"}'

# sign_in [PORT]: sets ACCESS_TOKEN and REFRESH_TOKEN.
sign_in() {
    local answer
    answer=$(curl -s "localhost:${1-3000}/authenticate" --json "$ada")
    echo "$answer"
    ACCESS_TOKEN=$(jq -er .access_token <<<"$answer")
    REFRESH_TOKEN=$(jq -r .refresh_token <<<"$answer")
}

# wait_for_mails COUNT: waits until the mail server of the page has put this many mails into the directory `mails`.
wait_for_mails() {
    until_true bash -c "((\$(ls mails/new | wc -l) >= $1))"
}

# resource_server NAME: makes credentials, and sets `secret` and `entry`.
resource_server() {
    local printed
    printed=$(auth-service secrets resource-server "$1")
    secret=$(sed -n "s/^secret of $1: //p" <<<"$printed")
    entry=$(sed -n 's/^entry in RESOURCE_SERVERS: //p' <<<"$printed")
}

# systemd_accepts_drop_in: the block is a drop-in for the shipped unit.
systemd_accepts_drop_in() {
    mkdir -p auth-service.service.d
    sed 's,^ExecStart=.*,ExecStart=/bin/true,' "$project/deploy/auth-service.service" >auth-service.service
    cp "$BLOCK" auth-service.service.d/drop-in.conf
    local said
    said=$(systemd-analyze verify ./auth-service.service 2>&1)
    echo "$said"
    [[ -z $said ]]
}

# A page names an id that a command before has printed. remember STEP compares the ids that the page shows with those that
# the step has printed, and as_here FILE replaces the former by the latter.
ids() {
    grep -oE '\b([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9_-]{22})\b' "$1" || true
}
remember() {
    [[ ! -e $steps/$1.expected ]] || paste -d / <(ids "$steps/$1.expected") <(ids "$steps/$1.out") | sed -nE 's,^[^/]+/.+$,s/&/,p' >>"$steps/here.sed"
}
as_here() {
    sed -i -f "$steps/here.sed" "$1"
}
touch "$steps/here.sed"

# Notes each command that fails, also one inside a function or a substitution. A condition may fail.
set -E
trap 'echo "this failed with status $?: $BASH_COMMAND" >>"$steps/$step.failed"' ERR
