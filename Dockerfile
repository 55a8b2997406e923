# The server in an image without shell or package manager, run by an unprivileged user on a read-only root filesystem.
# Any builder will do: no BuildKit feature is used. docs/operations.md says how to pin the base images by digest; both
# have to be of the same Debian release, since the program uses the C library of the second.
ARG RUST_IMAGE=rust:1.95-slim-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /build
# The dependencies alone, under an empty program: this layer is made again only when they change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/api benches/load \
 && echo 'fn main() {}' | tee src/main.rs tests/api/main.rs benches/load/main.rs > benches/allocations.rs \
 && touch src/lib.rs \
 && cargo build --release --locked \
 && cargo clean --release --locked --package auth-service
COPY src src
RUN cargo build --release --locked \
 && mkdir -p -m 0700 /rootfs/var/lib/auth-service
# By this label what is left of this stage can be found and removed; last, so that no layer above depends on it.
ARG BUILD_NAME=auth-service
LABEL auth-service.build=${BUILD_NAME}

FROM ${RUNTIME_IMAGE}
COPY --from=build /build/target/release/auth-service /usr/local/bin/auth-service
# The embedded store's directory, for a volume to be mounted on; with REDIS_URL it stays empty.
COPY --from=build --chown=65532:65532 /rootfs/var/lib /var/lib
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/var/lib/auth-service
WORKDIR /
USER 65532:65532
EXPOSE 3000
# install.sh tells them; empty is unknown.
ARG VERSION=
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="A stateless token server: accounts, sessions and tokens" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s --retries=3 CMD ["/usr/local/bin/auth-service", "health"]
ENTRYPOINT ["/usr/local/bin/auth-service"]
