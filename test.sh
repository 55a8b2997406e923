#!/usr/bin/env bash
# Passes every check and every test, and leaves none out, on a machine that has a Rust toolchain; what else is missing
# it installs by apt-get. It needs the net for that and for the first download of the crates, and for nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export CARGO_TERM_COLOR=never

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

# Each program that a check or a test starts, and the Debian package that has it.
programs=(cc:gcc git:git kill:procps python3:python3 redis-server:redis-server haproxy:haproxy)

missing_packages() {
    local program
    for program in "${programs[@]}"; do
        # -P looks for a file: kill is also a builtin.
        type -P "${program%%:*}" >/dev/null || echo "${program##*:}"
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

step "format" cargo fmt --check
step "tracked files" tracked_files
step "dependencies" python3 .ci/dependencies.py
cat "$output"
step "lint" cargo clippy --quiet --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" step "docs" cargo doc --quiet --no-deps --locked
TEST_LEAVE_NOTHING_OUT=1 step "tests" cargo test --locked
grep '^test result:' "$output"
! grep -qE '^test result:.* [1-9][0-9]* (ignored|filtered out)' "$output" || fail "a test was left out"

tests="$(count 'Running unittests') unit, $(count Doc-tests) doc and $(count 'Running tests/') API tests"

step "deployment files" deploy/check.sh
cat "$output"

redis=$(redis-server --version | sed -E 's/.* v=([^ ]+).*/\1/')
echo "passed: format, tracked files, dependencies, lint, docs, $tests (Redis $redis and embedded), nothing left out;" \
    "deployment files. In containers the deployment is tested by deploy/test-docker.sh, on its own"
