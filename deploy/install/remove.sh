# Stops and removes what install.sh has started, and with --purge also what it has made.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

# Prints the files that the script or the server has made, of those that exist. Other files stay, because SECRETS_DIR,
# STATE_DIR and DATA_DIR may name directories that have other files, too.
files_of_purge() {
    local name file
    while IFS= read -r name; do echo "$secrets/$name"; done < <(
        sed -nE 's,.*\$\{SECRETS_DIR:-[^}]*\}/([a-z_]+).*,\1,p' docker-compose.yml
    )
    for name in auth-service auth-service.new auth-service.old log pid store trial; do echo "$state/$name"; done
    for file in "$data"/store.redb* "$data"/*_secret_key*; do echo "$file"; done
}
existing_files() {
    local file
    while IFS= read -r file; do [[ ! -e $file ]] || echo "$file"; done < <(files_of_purge)
}

volumes() { docker volume ls -q --filter "label=com.docker.compose.project=$project"; }
# Images without a name that the builds of this project have made: the build stage, and earlier versions of the server.
unnamed_images() { docker images -q --no-trunc --filter dangling=true --filter "label=auth-service.build=$project" | sort -u; }

count_lines() { grep -c . || true; }

# Prints what --purge deletes, one thing on each line.
list_purge() {
    local count
    if [[ -n $engine ]]; then
        count=$(docker ps -aq --filter "label=com.docker.compose.project=$project" | count_lines)
        ((count == 0)) || echo "  $count containers of the Compose project $project, with their logs"
        volumes | sed 's/.*/  volume  & (accounts, sessions and tokens)/'
        [[ -z $(docker images -q "$SERVER_IMAGE") ]] || echo "  image   $SERVER_IMAGE"
        count=$(unnamed_images | count_lines)
        ((count == 0)) || echo "  images  $count without a name, of its builds (stages and earlier versions), and their layers"
    fi
    existing_files | sed 's/^/  file    /'
}

# Asks before the script deletes anything. Without a terminal nobody can answer.
confirm_purge() {
    local answer what
    what=$(list_purge)
    [[ -n $what ]] || what="  nothing: there are no data, secrets or images"
    echo "--purge deletes these for good:"
    echo "$what"
    echo "It keeps .env, backups, and images that were pulled or that have another name."
    [[ $kind != redis ]] || echo "It keeps the accounts in $store."
    # BuildKit does not say which build has made a record of its cache.
    [[ -z $engine || ! $(docker system df --format '{{.Type}} {{.TotalCount}}' 2>/dev/null) =~ "Build Cache "[1-9] ]] ||
        echo "It keeps the cache of BuildKit, which all builds share; to delete what no build uses: docker builder prune"
    [[ -z $yes ]] || return 0
    [[ -t 0 ]] || fail "--purge asks before it deletes, but standard input is not a terminal" \
        "nothing was stopped or deleted; to delete without a question, add --yes"
    read -r -p "Type yes to delete them: " answer || true
    [[ $answer == yes ]] || fail "nothing was stopped or deleted"
}

purge() {
    local file directory
    if [[ -n $engine ]]; then
        # Builds that were interrupted may still run in a container.
        docker ps -aq --filter "label=auth-service.build=$project" | xargs -r docker rm -f >/dev/null
        [[ -z $(docker images -q "$SERVER_IMAGE") ]] || docker rmi "$SERVER_IMAGE" >/dev/null ||
            say "Kept the image $SERVER_IMAGE, for the reason above"
        # Prunes the layers under the images, too.
        docker image prune -f --filter "label=auth-service.build=$project" >/dev/null
    fi
    while IFS= read -r file; do rm -rf "$file"; done < <(existing_files)
    for directory in "$secrets" "$data" "$state"; do
        [[ -d $directory ]] || continue
        rm -f "$directory"/.*_key.* "$directory"/.redis_*.*
        rmdir "$(realpath "$directory")" 2>/dev/null || { say "Kept $directory, which has other files" && continue; }
        [[ ! -L $directory ]] || rm "$directory"
    done
    say "Deleted what is listed above"
}

uninstall() {
    local engine='' kind store data
    find_store
    if engine_answers; then
        engine=yes
        compose_is_there
        choose_project
    elif [[ -e $secrets ]]; then
        [[ -n $purge ]] || stop_native
        fail "the containers of this installation and the data in their volume can be removed only with the engine" \
            "start the Docker engine, then run this again; no container, no data and no secret was removed"
    fi
    [[ -z $purge ]] || confirm_purge
    doing="removing the installation" left=uninstall_left
    stop_native
    if [[ -n $engine ]]; then
        say "Stopping and removing the containers of the Compose project $project"
        $compose down --remove-orphans ${purge:+--volumes}
    fi
    if [[ -n $purge ]]; then
        purge
    else
        say "Kept the data${engine:+ in the volume ${project}_redis-data}, $state and $secrets. ./install.sh uses them again"
    fi
    doing=''
}
uninstall_left() { echo "            a part may still be there: run the same command again"; }
