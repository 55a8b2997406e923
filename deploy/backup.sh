#!/usr/bin/env bash
# Backs up and restores the Redis of docker-compose.yml.
#   deploy/backup.sh save FILE       saves while Redis runs; protect FILE, because it contains password hashes
#   deploy/backup.sh restore FILE    replaces all data; clients get 503 until the restore has ended
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
    fail "Redis is not ready after 60 s: see $compose logs redis"
}

new='' stopped=''
clean_up() {
    local status=$?
    trap - EXIT
    [[ -z $new ]] || rm -f "$new"
    # After a failure or an interruption, the old data are unchanged, so Redis starts again with the old data.
    [[ -z $stopped ]] || start_redis
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

save() {
    new=$(mktemp "$file.XXXXXX")
    # Saves to a file first, because redis-cli appends a mark to data on standard output, and Redis refuses to load a
    # file with this mark.
    # shellcheck disable=SC2016 # the shell in the container expands it
    redis '
        export REDISCLI_AUTH=$(cat /run/secrets/redis_password)
        exec setpriv --reuid=redis --regid=redis --clear-groups --inh-caps=-all sh -ec "
            trap \"rm -f /data/backup.rdb\" EXIT
            redis-cli --rdb /data/backup.rdb >&2
            cat /data/backup.rdb"' >"$new" || fail "no backup was saved, for the reason above; check that Redis runs"
    # An RDB file begins with these five bytes.
    [[ $(head -c 5 "$new") == REDIS ]] || fail "no backup was saved: the data from Redis are not a backup"
    mv "$new" "$file"
    new=''
    echo "Saved $(stat -c %s "$file") bytes to $file"
}

restore() {
    [[ -r $file ]] || fail "$file cannot be read"
    [[ $(head -c 5 "$file" | tr -d '\0') == REDIS ]] || fail "$file is not a backup"
    # The backup becomes the base of the append-only file, which Redis reads at its start. The script writes the backup
    # beside the old file, and checks the backup before it replaces the old file. An interruption or a broken backup
    # leaves the old data unchanged.
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
        fail "$file was not restored, for the reason above; the data are unchanged"
    stopped=''
    start_redis
    # The backup may be older than the signing secrets, and replicas start only with secrets that the store knows.
    $compose run --rm -T --no-deps server secrets adopt </dev/null ||
        fail "the data are restored, but the store does not take the signing secrets, for the reason above;" \
            "run: $compose run --rm --no-deps server secrets adopt"
}

"$1"
