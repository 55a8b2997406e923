# The installation without Docker: one server, on the Redis that REDIS_URL names, or else on the embedded store.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

# process_of PROGRAM: prints the process that runs the file. The kernel appends " (deleted)" if the file was replaced.
process_of() {
    local program found
    program=$(realpath -m "$1")
    # A process may end during the search, which is no failure.
    found=$(find /proc/[0-9]* -maxdepth 1 -name exe \( -lname "$program" -o -lname "$program (deleted)" \) 2>/dev/null) || true
    found=${found%%$'\n'*}
    [[ -n $found ]] && basename "${found%/exe}"
}
native_pid() { process_of "$state/auth-service"; }

stop_process() {
    say "Stopping the server, process $1"
    kill "$1"
    wait_for 20 "the server has ended" bash -c "! kill -0 $1 2>/dev/null" ||
        fail "process $1 does not end" "to kill it: kill -9 $1"
}
stop_native() {
    local pid
    pid=$(native_pid) || return 0
    stop_process "$pid"
    rm -f "$state/pid"
}

# Sets `store` to the words for the store that the server uses, `kind` to redis or embedded, and `data` to the directory
# of the embedded store.
find_store() {
    local url file
    url=$(setting REDIS_URL) file=$(setting REDIS_URL_FILE)
    data=$(setting DATA_DIR)
    data=${data:-$state/data}
    if [[ -n $url ]]; then
        # A URL may hold a password.
        kind=redis store="the Redis at $(sed -E 's,//.*@,//,' <<<"$url"), which REDIS_URL names"
    elif [[ -n $file ]]; then
        kind=redis store="the Redis whose URL is in $file, which REDIS_URL_FILE names"
    else
        kind=embedded store="the embedded store in $(realpath -m "$data")"
    fi
}

# Says which accounts the server has, and refuses to start without those of the last run.
check_store() {
    local last
    last=$(cat "$state/store" 2>/dev/null) || true
    [[ $last != redis || $kind == redis ]] ||
        fail "the accounts of the last run are in the Redis that REDIS_URL named, but REDIS_URL is not set now" \
            "write REDIS_URL to .env; to use the embedded store without these accounts: rm $state/store"
    [[ $kind == redis || $data == "$state/data" || -e $data || ! -e $state/data ]] ||
        fail "the accounts of the last run are in $state/data, but DATA_DIR names $data, which does not exist" \
            "to keep the accounts: mv $state/data $data, or remove DATA_DIR from .env"
    say "The accounts are in $store"
    [[ $kind != redis || ! -e $data/store.redb ]] || say "The accounts in the embedded store in $data are NOT used"
    [[ ! -e $secrets/redis_url ]] ||
        say "The accounts of the installation with Docker are NOT used. They stay in its Redis; ./install.sh --docker" \
            "starts it again"
}

# run_native PROGRAM PORT DIRECTORY LOG: starts a program in the background, in a session of its own, so that Ctrl-C does
# not reach it. Sets `started_pid`.
run_native() {
    local apart=(nohup)
    type -P setsid >/dev/null && apart=(setsid nohup)
    PORT=$2 DATA_DIR=$3 "${apart[@]}" "$1" >>"$4" 2>&1 </dev/null 9<&- &
    started_pid=$!
}
# is_ready_at PORT LOG: whether the started server is ready. Fails at once if it has ended.
is_ready_at() {
    kill -0 "$started_pid" 2>/dev/null || { echo && tail -n 5 "$2" >&2 && fail "the server ended, see its log: $2"; }
    ready "$1"
}

# Tries the new program with the settings of this run on another port, and without Redis on an empty store, because two
# servers cannot use one embedded store.
try_native() {
    local free=$((20000 + $$ % 10000))
    while listens $free; do free=$((free + 1)); done
    rm -rf "$state/trial"
    mkdir -p "$state/trial"
    run_native "$state/auth-service.new" $free "$state/trial/data" "$state/trial/log"
    wait_for 30 "the new version accepts the settings" is_ready_at $free "$state/trial/log" ||
        fail "the new version did not become ready on a trial port" "its log: $(tail -n 5 "$state/trial/log")"
    end_trial
}
end_trial() {
    local pid
    pid=$(process_of "$state/auth-service.new") && kill "$pid" && { wait "$pid" 2>/dev/null || true; }
    rm -rf "$state/trial"
}

start_native() {
    run_native "$state/auth-service" "$port" "$data" "$state/log"
    echo "$started_pid" >"$state/pid"
    wait_for 30 "the server is ready" is_ready_at "$port" "$state/log"
}

# After a failure or an interruption: ends what this run has started, and starts the old version again if it was stopped.
building='' swapping=''
undo_native() {
    local pid
    [[ -z $building ]] || end_job "$building"
    [[ ! -e $state/auth-service.new ]] || { end_trial && rm -f "$state/auth-service.new"; }
    [[ -n $swapping ]] || return 0
    # In subshells, because a failure must not end the cleaning.
    pid=$(native_pid) && (stop_process "$pid")
    if [[ -e $state/auth-service.old ]]; then
        say "Starting the old version again"
        mv "$state/auth-service.old" "$state/auth-service"
        (start_native)
    fi
}
native_left() {
    local pid
    if pid=$(native_pid); then
        echo "            the old version runs, process $pid$(ready && echo ", and serves on http://$(authority)")"
    else
        echo "            no server runs"
    fi
    echo "            to finish, run this again"
}

# Refuses a port that another program has. The old server may have it.
check_port() {
    local old_port=''
    [[ -z $1 ]] || old_port=$(tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^PORT=//p')
    [[ $old_port == "$port" ]] || ! listens || port_is_taken \
        "./install.sh --uninstall stops a server or containers that this script started here, and keeps their data"
}

install_native() {
    local old kind store data started_pid=''
    type -P cargo >/dev/null || fail "cargo is not installed" "install Rust 1.95 or later, then run this again"
    find_store
    check_store
    old=$(native_pid) || old=''
    check_port "$old"
    (umask 077 && mkdir -p "$state")
    [[ $mode != native ]] || remember INSTALL_MODE native
    remember_all SECRETS_DIR STATE_DIR PORT
    undo=undo_native left=native_left doing="building"
    say "Building with cargo (the first build takes minutes)"
    # In the background, so that a signal ends the script at once. `wait` alone may miss a signal.
    cargo build --profile dist --locked 9<&- &
    building=$!
    while kill -0 $building 2>/dev/null; do sleep 0.2; done
    wait $building || fail "the build failed, for the reason above" "the build needs a C compiler: gcc or clang"
    building=''
    # A copy, because a later build must not replace the program of a running server.
    install -m 755 "${CARGO_TARGET_DIR:-target}/dist/auth-service" "$state/auth-service.new"
    doing="replacing the server"
    if [[ -n $old ]]; then
        try_native
        swapping=yes
        stop_native
        mv "$state/auth-service" "$state/auth-service.old"
    fi
    swapping=yes
    mv "$state/auth-service.new" "$state/auth-service"
    start_native || fail "the server did not become ready, and was stopped" "see its log: $state/log"
    doing=''
    rm -f "$state/auth-service.old"
    echo "$kind" >"$state/store"
    # shellcheck disable=SC2046 # one word for each name
    remember_all $(names_of_native)
    show_first_request
    cat <<TEXT

One server (process $started_pid) runs on $store. Its log is $state/log.
  stop:       kill $started_pid
  start:      ./install.sh --native
  accounts:   $state/auth-service user show ada@example.com
  manual:     $state/auth-service man | man -l -
  uninstall:  ./install.sh --uninstall          (keeps the data; with --purge, deletes them too)
TEXT
}
