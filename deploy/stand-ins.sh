#!/usr/bin/env bash
# Makes stand-ins for the base images where no registry answers: from Debian's packages and the Rust toolchain of this
# machine, as images NAME-rust, NAME-runtime, NAME-redis and NAME-haproxy. Needs root, debootstrap and a Docker engine.
# The packages are kept in target/stand-ins, so that the second run takes seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=${1:?usage: deploy/stand-ins.sh NAME}
# The Debian release of the images that the Dockerfile and docker-compose.yml name.
release=trixie
root=target/stand-ins/$release

if [[ ! -e $root.done ]]; then
    rm -rf "$root"
    mkdir -p target/stand-ins
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    debootstrap --keyring=$keyring --variant=minbase --include=ca-certificates,gcc,libc6-dev,redis-server,haproxy \
        "$release" "$root" >target/stand-ins/log 2>&1 ||
        { tail -5 target/stand-ins/log >&2; echo "debootstrap failed: see target/stand-ins/log" >&2; exit 1; }
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    touch "$root.done"
fi
# Whom this machine trusts, cargo trusts.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

tar -C "$root" -c . | docker import - "$name-redis" >/dev/null
docker tag "$name-redis" "$name-haproxy"

# The toolchain beside the compiler and linker of the system, without its documentation.
tar -c -C "$root" . -C "$(rustc --print sysroot)" --transform 's,^\(bin\|lib\)\(/\|$\),usr/local/rust/\1\2,S' bin lib |
    docker import --change 'ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$name-rust" >/dev/null

# As distroless/cc: the C library, the compiler's runtime, certificates and users; no shell, no package manager.
runtime=$(mktemp -d)
trap 'rm -rf "$runtime"' EXIT
libraries=usr/lib/x86_64-linux-gnu
mkdir -p "$runtime"/{tmp,etc/ssl/certs,usr/lib64,$libraries,var/lib/dpkg/status.d}
mkdir -p "$runtime/home"
mkdir -m 0700 "$runtime/home/nonroot"
chmod 1777 "$runtime/tmp"
chmod 755 "$runtime"
ln -s usr/lib "$runtime/lib"
ln -s usr/lib64 "$runtime/lib64"
cp -a "$root"/usr/lib64/ld-linux-x86-64.so.2 "$runtime/usr/lib64/"
cp -a "$root"/$libraries/{ld-linux-x86-64.so.2,libc.so.6,libm.so.6,libgcc_s.so.1} "$runtime/$libraries/"
cp "$root"/etc/ssl/certs/ca-certificates.crt "$runtime/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' \
    >"$runtime/etc/passwd"
chown -R 65532:65532 "$runtime/home/nonroot"
tar -C "$runtime" -c . | docker import --change 'USER 65532' - "$name-runtime" >/dev/null
