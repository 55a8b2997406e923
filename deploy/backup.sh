#!/usr/bin/env bash
# Backs up and restores the Redis of docker-compose.yml.
#   deploy/backup.sh save FILE       while it runs; FILE holds accounts and password hashes: keep it safe
#   deploy/backup.sh restore FILE    replaces all that is there; the replicas answer 503 meanwhile
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi
# shellcheck disable=SC2016 # the shell in the container expands it
cli='REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli'
redis() { $compose exec -T redis sh -ec "$1"; }

case ${1-}:${2-} in
    save:?*)
        (umask 077 && redis "$cli --rdb -" >"$2.new" 2>/dev/null)
        # A whole RDB file begins so.
        [[ $(head -c 5 "$2.new") == REDIS ]] || { echo "nothing was saved" >&2 && exit 1; }
        mv "$2.new" "$2"
        echo "Saved $(stat -c %s "$2") bytes to $2"
        ;;
    restore:?*)
        [[ $(head -c 5 "$2") == REDIS ]] || { echo "$2 is no backup" >&2 && exit 1; }
        # Redis takes it as the base of its append-only file, which it reads at start.
        $compose stop redis
        $compose run --rm -T --no-deps redis "
            rm -rf /data/appendonlydir /data/dump.rdb
            mkdir /data/appendonlydir
            cat > /data/appendonlydir/appendonly.aof.1.base.rdb
            echo 'file appendonly.aof.1.base.rdb seq 1 type b' > /data/appendonlydir/appendonly.aof.manifest
            chown -R redis:redis /data/appendonlydir" <"$2"
        $compose start redis
        printf 'Waiting until Redis has read it '
        for _ in {1..120}; do
            if redis "$cli ping" 2>/dev/null | grep -q PONG; then
                echo ok
                sleep 2
                exit
            fi
            printf .
            sleep 0.5
        done
        echo "not after 60 s: look at $compose logs redis" >&2
        exit 1
        ;;
    *) sed -n '2,4s/^# \?//p' "$0" >&2 && exit 2 ;;
esac
