# How install.sh reaches the server, and waits for it.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

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

# Bash itself connects, so that no other program is needed.
listens() { { exec 3<>"/dev/tcp/$address/${1:-$port}"; } 2>/dev/null && exec 3>&-; }
# ready [PORT]: whether GET /readyz answers 200. In a subshell, because a server that closes the connection causes SIGPIPE.
ready() (
    { exec 3<>"/dev/tcp/$address/${1:-$port}"; } 2>/dev/null || exit 1
    printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3 2>/dev/null
    read -r -t 3 _ status _ <&3 || true
    [[ ${status-} == 200 ]]
)
port_is_taken() {
    fail "port $port of $address is taken" \
        "stop the program that listens there, or use another port: PORT=8080 ./install.sh${mode:+ --$mode}" "$@"
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

# end_job PROCESS: ends a background job of this script. Repeats the signal, because a job that has just started loses it.
end_job() {
    for _ in {1..50}; do
        kill "$1" 2>/dev/null || break
        sleep 0.1
    done
}

# Prints the host and the port of the server for a URL.
authority() {
    local host=$address
    case $host in
        127.0.0.1 | ::1) host=localhost ;;
        *:*) host="[$host]" ;;
    esac
    echo "$host:$port"
}

show_first_request() {
    cat <<TEXT

Ready after $SECONDS s. The server answers on http://$(authority). A first request:
  curl -s $(authority)/signup -H 'Content-Type: application/json' \\
    -d '{"email": "ada@example.com", "password": "correct horse battery"}'
TEXT
}
