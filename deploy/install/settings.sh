# Settings for install.sh: where they come from, and how the next run gets them again.
# shellcheck shell=bash disable=SC2154,SC2034 # the parts of install.sh share variables

# Prints a setting from .env.
saved() {
    local line
    line=$(grep -E "^(export )?$1=" .env 2>/dev/null | tail -1) || true
    line=${line#*=}
    # As the server and Compose read it: a comment may follow the value, after a space.
    if [[ $line =~ ^\"([^\"]*)\" || $line =~ ^\'([^\']*)\' ]]; then
        line=${BASH_REMATCH[1]}
    else
        line=$(sed -E 's/(^|[[:space:]]+)#.*//; s/[[:space:]]+$//' <<<"$line")
    fi
    echo "$line"
}

# Prints a setting from the environment, or else from .env.
setting() {
    if [[ -n ${!1-} ]]; then echo "${!1}"; else saved "$1"; fi
}

# Prints a value in the form that .env needs. Fails if no form suits the server, Compose and this script.
quoted() {
    case $1 in
        *\'* | *$'\n'* | *$'\r'*) return 1 ;;
        '' | *[!A-Za-z0-9_.,:/@%+=-]*) echo "'$1'" ;;
        *) echo "$1" ;;
    esac
}

# remember NAME VALUE: writes a setting to .env, for later runs and for direct use of Compose.
remember() {
    local new value line written=''
    [[ $(saved "$1") != "$2" ]] || return 0
    if ! value=$(quoted "$2"); then
        say "$1 is NOT saved, because .env cannot hold its value: give it again at the next run"
        return
    fi
    # A rename, so that an interruption leaves the old file. The new file has the mode and the owner of the old file.
    new=$(mktemp .env.XXXXXX)
    if [[ -e .env ]]; then
        chmod --reference=.env "$new" && { chown --reference=.env "$new" 2>/dev/null || true; }
        while IFS= read -r line || [[ -n $line ]]; do
            if [[ $line =~ ^(export )?$1= ]]; then
                [[ -z $written ]] || continue
                line=$1=$value written=yes
            fi
            printf '%s\n' "$line"
        done <.env >"$new"
    else
        chmod "$(printf '%o' $((0666 & ~$(umask))))" "$new"
    fi
    [[ -n $written ]] || echo "$1=$value" >>"$new"
    mv "$new" "$(realpath .env)"
    say "Saved $1=$2 in .env"
}

# Prints the names of the settings that docker-compose.yml passes on, except the secrets.
names_of_compose() {
    grep -oE '(^|[^$])\$\{[A-Z][A-Z0-9_]*' docker-compose.yml | sed 's/.*{//' | sort -u | grep -vE '(_SECRET_KEY_PREVIOUS|^SMTP_URL|^WEBHOOK_SECRET)$'
}

# Prints the names of the settings of a server without Docker, except the secrets, whose files it names instead.
names_of_native() {
    local names secret='(^REDIS_URL|^SMTP_URL|^WEBHOOK_SECRET|PASSWORD|_SECRET_KEY.*)$'
    names=$(sed -nE 's/^#?([A-Z][A-Z0-9_]*)=.*/\1/p' .env.example)
    grep -vE "$secret" <<<"$names"
    grep -E "$secret" <<<"$names" | sed 's/$/_FILE/'
    # A URL without a password is no secret.
    [[ ${REDIS_URL-} == *@* ]] || echo REDIS_URL
}

# remember_all NAME...: saves those of the settings that come from the environment.
remember_all() {
    local name
    for name in "$@"; do
        [[ -z ${!name-} ]] || remember "$name" "${!name}"
    done
}
