# The server in an image without a shell or a package manager. An unprivileged user runs it on a read-only root filesystem.
# Any builder works, because this file uses no feature of BuildKit. docs/deploying.md says how to pin the base images by
# digest. Both base images must be of the same Debian release, because the program uses the C library of the runtime image.
ARG RUST_IMAGE=rust:1.95-slim-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${RUST_IMAGE} AS build
# The Compose project. ./install.sh --uninstall --purge finds the layers of this stage by the label, so every layer has it.
ARG BUILD_NAME=auth-service
LABEL auth-service.build=${BUILD_NAME}
WORKDIR /build
# Builds the dependencies first, with empty crates in place of ours. The builder repeats this layer only when a dependency
# changes.
COPY Cargo.toml Cargo.lock build.rs ./
COPY crates/mail/Cargo.toml crates/mail/
COPY crates/password/Cargo.toml crates/password/
COPY crates/records/Cargo.toml crates/records/
COPY crates/resource-server/Cargo.toml crates/resource-server/
COPY crates/store/Cargo.toml crates/store/
COPY crates/token/Cargo.toml crates/token/
COPY crates/totp/Cargo.toml crates/totp/
COPY crates/webhook/Cargo.toml crates/webhook/
RUN mkdir -p src tests/containers benches/load \
 && for crate in crates/*/; do mkdir "${crate}src" && touch "${crate}src/lib.rs" || exit; done \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs tests/containers/main.rs benches/load/main.rs > benches/allocations.rs \
 && cargo build --profile dist --locked \
 && cargo clean --profile dist --locked --workspace
COPY crates crates
COPY src src
COPY deploy/sbom.sh deploy/
RUN cargo build --profile dist --locked \
 && mkdir -p /rootfs/doc && deploy/sbom.sh >/rootfs/doc/sbom.cdx.json \
 && mkdir -p -m 0700 /rootfs/var/lib/auth-service

FROM ${RUNTIME_IMAGE}
COPY --from=build /build/target/dist/auth-service /usr/local/bin/auth-service
# The software bill of materials, in CycloneDX.
COPY --from=build /rootfs/doc /usr/share/doc/auth-service
# The directory of the embedded store, where a volume can be mounted. With REDIS_URL, the directory stays empty.
COPY --from=build --chown=65532:65532 /rootfs/var/lib /var/lib
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/var/lib/auth-service
WORKDIR /
USER 65532:65532
# 9464 only with METRICS_LISTEN=0.0.0.0:9464.
EXPOSE 3000 9464
# install.sh sets these four. An empty value means unknown.
ARG BUILD_NAME=auth-service
ARG VERSION=
ARG REVISION=
ARG SOURCE=
LABEL auth-service.build="${BUILD_NAME}" \
      org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="A stateless token server: accounts, sessions and tokens" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s --retries=3 CMD ["/usr/local/bin/auth-service", "health"]
ENTRYPOINT ["/usr/local/bin/auth-service"]
