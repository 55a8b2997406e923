#!/usr/bin/env bash
# Makes stand-ins for the base images, from Debian's packages and a Rust toolchain, for a machine without a registry.
# The images are NAME-rust, NAME-runtime, NAME-redis and NAME-haproxy. Needs root, debootstrap and a Docker engine.
#   deploy/stand-ins.sh NAME [TOOLCHAIN]      TOOLCHAIN is the output of `rustc --print sysroot`; root may have no rustc
#   deploy/stand-ins.sh                       only fetches the packages
# The script keeps the packages in target/stand-ins, so that the second run takes seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=${1-}
# The Debian release of the images that the Dockerfile and docker-compose.yml name.
release=trixie
root=target/stand-ins/$release

mkdir -p target/stand-ins
exec 9>target/stand-ins/lock
flock 9
if [[ ! -e $root.done ]]; then
    rm -rf "$root"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    debootstrap --keyring=$keyring --variant=minbase --include=ca-certificates,gcc,libc6-dev,redis-server,haproxy \
        "$release" "$root" http://deb.debian.org/debian >target/stand-ins/log 2>&1 ||
        { tail -5 target/stand-ins/log >&2; echo "debootstrap failed: see target/stand-ins/log" >&2; exit 1; }
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    touch "$root.done"
fi
[[ -n $name ]] || exit 0
toolchain=${2:-$(rustc --print sysroot)}

# cargo must trust the same certificate authorities as this machine.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

tar -C "$root" -c . | docker import - "$name-redis" >/dev/null
docker tag "$name-redis" "$name-haproxy"

# The image has the toolchain without its documentation, and the compiler and linker of Debian. Its settings make the build
# of the server minutes shorter, and the server somewhat larger and slower. deploy/test-docker.sh
# finds and removes the leftovers of an interrupted build by the label.
tar -c -C "$root" . -C "$toolchain" --transform 's,^\(bin\|lib\)\(/\|$\),usr/local/rust/\1\2,S' bin lib |
    docker import --change 'ENV PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV CARGO_PROFILE_DIST_LTO=off CARGO_PROFILE_DIST_CODEGEN_UNITS=16' \
        --change "LABEL auth-service.test=$name" - "$name-rust" >/dev/null

# The same content as distroless/cc: the C library, the compiler's runtime, certificates and users; no shell, no package
# manager.
runtime=$(mktemp -d)
trap 'rm -rf "$runtime"' EXIT
libraries=$(cd "$root" && echo usr/lib/*-linux-gnu)
mkdir -p "$runtime"/{tmp,etc/ssl/certs,"$libraries",home,var/lib/dpkg/status.d}
mkdir -m 0700 "$runtime/home/nonroot"
chmod 1777 "$runtime/tmp"
chmod 755 "$runtime"
cp -a "$root/$libraries"/{ld-linux-*,libc.so.6,libm.so.6,libgcc_s.so.1} "$runtime/$libraries/"
# Programs look for the loader in /lib or /lib64, depending on the architecture.
ln -s usr/lib "$runtime/lib"
for loader in "$root"/usr/lib/ld-linux-* "$root"/usr/lib64/ld-linux-*; do
    [[ -e $loader || -L $loader ]] || continue
    directory=${loader#"$root"/}
    directory=${directory%/*}
    mkdir -p "$runtime/$directory"
    cp -a "$loader" "$runtime/$directory/"
    [[ $directory != usr/lib64 ]] || ln -s usr/lib64 "$runtime/lib64"
done
cp "$root"/etc/ssl/certs/ca-certificates.crt "$runtime/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' \
    >"$runtime/etc/passwd"
chown -R 65532:65532 "$runtime/home/nonroot"
tar -C "$runtime" -c . | docker import --change 'USER 65532' - "$name-runtime" >/dev/null
