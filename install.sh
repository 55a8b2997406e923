#!/usr/bin/env bash
# Installs the server on this machine. A later run builds the image again and replaces the replicas one by one. The parts
# of the script are in deploy/install.
# shellcheck disable=SC2034 # the parts use the variables
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")"

usage() {
    cat <<'TEXT'
Usage: ./install.sh [--replicas N] [--docker | --native]
       ./install.sh --uninstall [--purge [--yes]]

Starts Redis, replicas of the server and a load balancer on http://localhost:3000, with Docker. A later run builds the
image again and replaces the replicas one by one, without downtime. It also applies changed settings in .env. If no
Docker engine answers, the script does the same as with --native.

  --replicas N   sets the number of replicas, 1 to 19; 3 by default
  --native       builds with cargo and runs one server without Docker: on the Redis that REDIS_URL names, or else on the
                 embedded store
  --docker       returns to Docker after --native
  --uninstall    stops and removes everything that this script started; keeps data, secrets and images
  --purge        with --uninstall: deletes data, secrets, images and build stages too. Lists them and asks before it
                 deletes them; this cannot be undone
  --yes          with --purge: does not ask

Settings come from the environment (PORT=8080 ./install.sh) or from .env. The script saves options, and settings from the
environment, in .env for the next run. It saves no password and no secret.
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

mode='' uninstall='' purge='' yes='' replicas=''
while (($#)); do
    case $1 in
        --native | --docker)
            [[ -z $mode || $mode == "${1#--}" ]] || fail "--native and --docker exclude each other"
            mode=${1#--}
            ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --yes) yes=yes ;;
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
[[ -z $yes || -n $purge ]] || fail "--yes is only allowed with --purge"

for part in settings reach project docker update native remove; do
    # shellcheck disable=SC1090 # the files of deploy/install
    source "deploy/install/$part.sh"
done

port=$(setting PORT)
port=${port:-3000}
if [[ ! $port =~ ^[0-9]{1,5}$ ]] || ((10#$port < 1 || 10#$port > 65535)); then
    fail "PORT must be a number from 1 to 65535"
fi
secrets=$(setting SECRETS_DIR)
secrets=${secrets:-deploy/secrets}
state=$(setting STATE_DIR)
state=${state:-deploy/native}
saved_mode=$(saved INSTALL_MODE)
chosen=${mode:-$saved_mode}
address=$(reached_at "$(setting "$([[ $chosen == native ]] && echo HOST || echo PUBLISH_ADDRESS)")")

if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi

# `doing` describes the current phase, and `undo` and `left` are functions: `undo` ends what the phase has started, and
# `left` says what runs.
log=$(mktemp) doing='' undo='' left=''
clean_up() {
    local status=$?
    # A second signal must not stop the cleaning, and a closed terminal must not either.
    trap - EXIT
    trap '' INT TERM HUP PIPE
    set +e
    if [[ -n $doing ]] && ((status != 0)); then
        ((status <= 128)) || { echo && echo "install.sh: interrupted while $doing"; } >&2
        [[ -z $undo ]] || $undo
        [[ -z $left ]] || $left >&2
    fi
    rm -f "$log"
    exit $status
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

# Two runs at the same time would replace each other's replicas. The started server must not keep the lock.
if type -P flock >/dev/null; then
    exec 9<install.sh
    flock -n 9 || fail "another install.sh is running here" "wait until it has ended"
fi

if [[ -n $uninstall ]]; then
    uninstall
elif [[ $chosen == native ]]; then
    [[ -n $mode ]] || say "As in the last run: without Docker (INSTALL_MODE in .env; --docker returns to Docker)"
    install_native
elif ! engine_answers; then
    fall_back
else
    compose_is_there
    choose_project
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
