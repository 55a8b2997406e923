#!/usr/bin/env bash
# Backs up and restores the Redis of docker-compose.yml.
#   deploy/backup.sh save FILE       while it runs; FILE holds accounts and password hashes: keep it safe
#   deploy/backup.sh restore FILE    replaces all data; the replicas answer 503 in the meantime
set -euo pipefail
[[ ${1-}:${2-} =~ ^(save|restore):. ]] || { sed -n '2,4s/^# \?//p' "${BASH_SOURCE[0]}" >&2 && exit 2; }
file=$(realpath -m -- "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi
# shellcheck disable=SC2016 # the shell in the container expands it
cli='REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli'
redis() { $compose exec -T redis sh -ec "$1"; }
fail() { echo "deploy/backup.sh: $*" >&2 && exit 1; }

start_redis() {
    $compose start redis
    printf 'Waiting until Redis has read its data '
    for _ in {1..120}; do
        if redis "$cli ping" 2>/dev/null | grep -q PONG; then
            echo ok
            # Gives the replicas time to reconnect.
            sleep 2
            return
        fi
        printf .
        sleep 0.5
    done
    fail "not after 60 s: look at $compose logs redis"
}

new='' stopped=''
clean_up() {
    local status=$?
    trap - EXIT
    [[ -z $new ]] || rm -f "$new"
    # After any failure or interruption the old data are unchanged, so Redis starts again with them.
    [[ -z $stopped ]] || start_redis
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

save() {
    new=$(mktemp "$file.XXXXXX")
    # Saves to a file first. On standard output redis-cli appends a mark to the data, and Redis refuses to load the
    # mark.
    # shellcheck disable=SC2016 # the shell in the container expands it
    redis '
        export REDISCLI_AUTH=$(cat /run/secrets/redis_password)
        exec setpriv --reuid=redis --regid=redis --clear-groups --inh-caps=-all sh -ec "
            trap \"rm -f /data/backup.rdb\" EXIT
            redis-cli --rdb /data/backup.rdb >&2
            cat /data/backup.rdb"' >"$new" || fail "nothing was saved, for the reason above: does Redis run?"
    # A whole RDB file begins with these five bytes.
    [[ $(head -c 5 "$new") == REDIS ]] || fail "nothing was saved: what Redis sent is no backup"
    mv "$new" "$file"
    new=''
    echo "Saved $(stat -c %s "$file") bytes to $file"
}

restore() {
    [[ -r $file ]] || fail "$file cannot be read"
    [[ $(head -c 5 "$file" | tr -d '\0') == REDIS ]] || fail "$file is no backup"
    # The backup becomes the base of the append-only file, which Redis reads at its start. The script writes the backup
    # beside the old file and checks it before it replaces the old file. An interruption or a broken backup leaves the
    # old data unchanged.
    stopped=yes
    $compose stop redis
    # shellcheck disable=SC2016 # the shell in the container expands it
    $compose run --rm -T --no-deps redis '
        exec setpriv --reuid=redis --regid=redis --clear-groups --inh-caps=-all sh -ec "
            rm -rf /data/restored
            mkdir /data/restored
            cat > /data/restored/appendonly.aof.1.base.rdb
            redis-check-rdb /data/restored/appendonly.aof.1.base.rdb >&2
            echo file appendonly.aof.1.base.rdb seq 1 type b > /data/restored/appendonly.aof.manifest
            rm -rf /data/replaced /data/dump.rdb
            if test -e /data/appendonlydir; then mv /data/appendonlydir /data/replaced; fi
            mv /data/restored /data/appendonlydir
            rm -rf /data/replaced"' <"$file" ||
        fail "$file was not restored, for the reason above; the data are as they were"
    stopped=''
    start_redis
}

"$1"
