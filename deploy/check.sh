#!/usr/bin/env bash
# Checks the deployment files without running them. bash checks the scripts, and HAProxy, nginx, Caddy, Envoy and Compose
# check their own files. Traefik has no such check, so only the tests of failover check its files. The PyPI package kubernetes-validate checks the output of kustomize against its schemas, and systemd-analyze
# checks the systemd unit. If a tool is not installed, the script reports that it skips the check. With
# TEST_LEAVE_NOTHING_OUT=1, a skipped check is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin:/sbin

left_out=''
has() {
    type -P "$1" >/dev/null && return
    echo "skipped: $2, because $1 is not installed"
    left_out=yes
    return 1
}
fail() { echo "deploy/check.sh: $*" >&2 && exit 1; }

for script in install.sh deploy/*.sh deploy/*/*.sh; do bash -n "$script"; done
echo "scripts: well-formed"

if has haproxy "deploy/haproxy and deploy/forward-auth/haproxy"; then
    for file in deploy/haproxy/haproxy.cfg deploy/forward-auth/haproxy/haproxy.cfg; do haproxy -c -q -f $file; done
    echo "haproxy.cfg: accepted by $(haproxy -v | head -1 | cut -d' ' -f1-3)"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if has nginx "deploy/nginx"; then
    # nginx opens its files even for a check, so all of them must be in a directory of this script.
    sed "s,/var/log/nginx,$work," deploy/nginx/auth-service.conf >"$work/auth-service.conf"
    cp deploy/forward-auth/nginx/forward-auth.conf "$work"
    for file in auth-service.conf forward-auth.conf; do
        cat >"$work/nginx.conf" <<TEXT
pid $work/pid;
events {}
http {
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    include $work/$file;
}
TEXT
        nginx -t -q -e stderr -c "$work/nginx.conf"
    done
    echo "deploy/nginx: accepted by $(nginx -v 2>&1 | cut -d' ' -f3)"
fi
if has python3 "deploy/caddy and deploy/envoy"; then
    deploy/proxies.sh
    for file in deploy/caddy/Caddyfile deploy/forward-auth/caddy/Caddyfile; do
        HOME=$work target/proxies/caddy validate --adapter caddyfile --config $file >"$work/log" 2>&1 ||
            { cat "$work/log" && fail "Caddy does not accept $file"; }
        HOME=$work target/proxies/caddy fmt --diff $file >"$work/log" ||
            { cat "$work/log" && fail "$file is not formatted"; }
    done
    echo "deploy/caddy: accepted by Caddy $(target/proxies/caddy version | cut -d' ' -f1)"
    for file in deploy/envoy/envoy.yaml deploy/forward-auth/envoy/envoy.yaml; do
        target/proxies/envoy --mode validate -c $file >"$work/log" 2>&1 ||
            { cat "$work/log" && fail "Envoy does not accept $file"; }
    done
    echo "deploy/envoy: accepted by Envoy $(target/proxies/envoy --version | grep -oE '/[0-9.]+/' | tr -d /)"
fi
if docker compose version >/dev/null 2>&1; then
    docker compose config -q
    echo "docker-compose.yml: accepted by docker compose $(docker compose version --short)"
elif has docker-compose "docker-compose.yml"; then
    docker-compose config -q
    echo "docker-compose.yml: accepted by docker-compose $(docker-compose version --short)"
fi

# kustomize reports missing files. This loop reports files that kustomization.yaml does not name.
for manifest in deploy/kubernetes/*.yaml; do
    name=$(basename "$manifest")
    [[ $name == kustomization.yaml ]] || grep -q "^  - $name$" deploy/kubernetes/kustomization.yaml ||
        fail "kustomization.yaml does not name $manifest"
done

package=kubernetes-validate==1.37.0 tool=target/kubernetes-validate
get_validator() {
    mkdir -p target
    exec 9>$tool.lock
    flock 9
    [[ ! -e $tool/$package.done ]] || return 0
    rm -rf $tool
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install -q --target $tool $package || fail "pip cannot install $package"
    touch $tool/$package.done
}
if has apt-get "the Kubernetes manifests" && has python3 "the Kubernetes manifests"; then
    get_validator
    deploy/tools.sh
    whole=$work/kubernetes
    target/tools/kustomize build deploy/kubernetes >"$whole" || fail "kustomize cannot build deploy/kubernetes"
    # The oldest version that has all the fields in use, and the newest version that the package knows.
    for version in 1.30 1.37; do
        PYTHONPATH=$tool $tool/bin/kubernetes-validate --quiet --strict -k $version "$whole" ||
            fail "deploy/kubernetes is not valid in Kubernetes $version"
        echo "kubernetes: $(grep -c ^kind: "$whole") objects of kustomize are valid in version $version, says $package"
    done
fi

if has systemd-analyze "the systemd unit"; then
    # The exposure ranges from 0.0 (closed) to 10.0 (open).
    systemd-analyze security --offline=true --threshold=15 ./deploy/auth-service.service >/dev/null ||
        fail "the unit's exposure is above 1.5: see systemd-analyze security --offline=true"
    echo "systemd:$(systemd-analyze security --offline=true ./deploy/auth-service.service | tail -1 | cut -d: -f2)"
fi
[[ -z $left_out || -z ${TEST_LEAVE_NOTHING_OUT-} ]] || fail "some checks were skipped, see above"
