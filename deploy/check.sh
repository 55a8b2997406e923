#!/usr/bin/env bash
# Checks the deployment files without running them: scripts by bash, HAProxy's and Compose's by themselves, Kubernetes
# manifests against the schemas that the PyPI package kubernetes-validate brings along, the systemd unit by
# systemd-analyze. What is not installed is named as left out; with TEST_LEAVE_NOTHING_OUT=1 that is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

left_out=''
has() {
    type -P "$1" >/dev/null && return
    echo "left out: $2, because $1 is not installed"
    left_out=yes
    return 1
}
fail() { echo "deploy/check.sh: $*" >&2 && exit 1; }

for script in install.sh deploy/*.sh; do bash -n "$script"; done
echo "scripts: well-formed"

if has haproxy "haproxy.cfg"; then
    haproxy -c -q -f deploy/haproxy.cfg
    echo "haproxy.cfg: accepted by $(haproxy -v | head -1 | cut -d' ' -f1-3)"
fi
if has docker-compose "docker-compose.yml"; then
    docker-compose config -q
    echo "docker-compose.yml: accepted by docker-compose $(docker-compose version --short)"
fi

# One Kubernetes version back as far as the fields that are used, and the newest that the package knows.
if has python3 "the Kubernetes manifests"; then
    package=kubernetes-validate==1.37.0 tool=target/kubernetes-validate
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install -q --upgrade --target $tool $package || fail "pip cannot install $package"
    for version in 1.30 1.37; do
        for manifest in deploy/kubernetes/*.yaml; do
            # No schema for kustomize's own file; that it names all others is checked below.
            [[ $manifest != */kustomization.yaml ]] || continue
            PYTHONPATH=$tool $tool/bin/kubernetes-validate --quiet --strict -k $version "$manifest" ||
                fail "$manifest is not valid in Kubernetes $version"
            grep -q "^  - $(basename "$manifest")$" deploy/kubernetes/kustomization.yaml ||
                fail "kustomization.yaml does not name $manifest"
        done
        echo "kubernetes: valid in version $version, by $package"
    done
fi

if has systemd-analyze "the systemd unit"; then
    # 0.0 is closed, 10.0 open.
    systemd-analyze security --offline=true --threshold=15 ./deploy/auth-service.service >/dev/null ||
        fail "the unit's exposure is above 1.5: see systemd-analyze security --offline=true"
    echo "systemd:$(systemd-analyze security --offline=true ./deploy/auth-service.service | tail -1 | cut -d: -f2)"
fi
[[ -z $left_out || -z ${TEST_LEAVE_NOTHING_OUT-} ]] || fail "see what was left out above"
