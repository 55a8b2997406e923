# The name of the Compose project. Each directory has a project of its own, because projects of one name share containers,
# volumes and networks.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

# Prints the name and the directory of each Compose project on this machine that has a container.
projects() {
    docker ps -a --filter label=com.docker.compose.project --format \
        '{{.Label "com.docker.compose.project"}} {{.Label "com.docker.compose.project.working_dir"}}' | sort -u
}

# Prints the projects whose containers belong to this directory.
projects_here() {
    local name directory
    while read -r name directory; do
        [[ $(realpath -m "$directory") != "$PWD" ]] || echo "$name"
    done < <(projects) | sort -u
}

# owner_of PROJECT: prints the other directory that has this project.
owner_of() {
    local name directory
    while read -r name directory; do
        [[ $name != "$1" || $(realpath -m "$directory") == "$PWD" || ! -e $directory/install.sh ]] || echo "$directory"
    done < <(projects) | head -1
}

has_volume() { [[ -n $(docker volume ls -q --filter "label=com.docker.compose.project=$1") ]]; }
exists() { has_volume "$1" || [[ -n $(docker ps -aq --filter "label=com.docker.compose.project=$1") ]]; }

# Prints the project of an installation here that has not saved its name, because an earlier install.sh made it. Compose
# named such a project after the last part of the path.
earlier_project() {
    local here default
    here=$(projects_here)
    (($(wc -w <<<"$here") < 2)) || fail "the containers of this directory belong to several projects: ${here//$'\n'/, }" \
        "to upgrade one of them: COMPOSE_PROJECT_NAME=NAME ./install.sh"
    default=$(basename "$PWD" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-' | sed 's/^[_-]*//')
    if [[ -n $here ]]; then
        echo "$here"
    elif has_secret redis_url && [[ -n $default ]] && has_volume "$default"; then
        echo "$default"
    fi
}

derived_project() { echo "auth-service-$(printf '%s' "$PWD" | sha256sum | cut -c1-8)"; }

# Sets `project`, and gives the name to Compose.
choose_project() {
    local given=${COMPOSE_PROJECT_NAME-} before owner derived
    before=$(saved COMPOSE_PROJECT_NAME)
    before=${before:-$(earlier_project)}
    [[ $given =~ ^([a-z0-9][a-z0-9_-]*)?$ ]] ||
        fail "COMPOSE_PROJECT_NAME must consist of lowercase letters, digits, - and _, and begin with a letter or digit"
    if [[ -n $given && -n $before && $given != "$before" ]] && exists "$before"; then
        fail "the installation of this directory is the Compose project $before, not $given" \
            "to continue with it, unset COMPOSE_PROJECT_NAME; its data would not move to a project of another name" \
            "to delete it first: COMPOSE_PROJECT_NAME=$before ./install.sh --uninstall --purge"
    fi
    project=${given:-${before:-$(derived_project)}}
    owner=$(owner_of "$project")
    [[ -z $owner ]] ||
        fail "the Compose project $project belongs to the installation in $owner" \
            "to install a second server, remove COMPOSE_PROJECT_NAME and SERVER_IMAGE from .env here, and move $secrets away" \
            "to move the installation here, run ./install.sh --uninstall there first; it keeps the data"
    derived=$(derived_project)
    [[ -n $given || ! $project =~ ^auth-service-[0-9a-f]{8}$ || $project == "$derived" ]] ||
        say "COMPOSE_PROJECT_NAME in .env comes from another directory: using the data of that installation"
    export COMPOSE_PROJECT_NAME=$project
    # The image has a name of its own, too, or Compose would start the version of another directory.
    SERVER_IMAGE=$(setting SERVER_IMAGE)
    [[ $SERVER_IMAGE != "auth-service:${before#auth-service-}" ]] || SERVER_IMAGE=''
    export SERVER_IMAGE=${SERVER_IMAGE:-auth-service:${project#auth-service-}}
}

# container_ids SERVICE: prints the ids of the containers of a service, including those that do not run.
container_ids() {
    docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False
}
