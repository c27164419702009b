# syntax=docker/dockerfile:1
# realtime-gateway: built with the toolchain of rust-toolchain.toml, run without shell, package manager or root.
#
#   docker build --file deploy/docker/realtime-gateway.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) .

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
# What the banner says, and the label below.
ARG REVISION=unknown
COPY . .
# Registry and build output are kept between builds; what is to stay in the image is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    SQLX_OFFLINE=true GIT_REVISION="${REVISION}" cargo build --release --locked --package realtime-gateway \
    && cp target/release/realtime-gateway /usr/local/bin/realtime-gateway

# glibc, libgcc, CA certificates and time zones.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
ARG REVISION=unknown
LABEL org.opencontainers.image.title="realtime-gateway" \
      org.opencontainers.image.description="The sockets of chat clients" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /usr/local/bin/realtime-gateway /usr/local/bin/realtime-gateway
ENV LOG_FORMAT=json \
    GATEWAY_LISTEN=0.0.0.0:3001 \
    GATEWAY_ADMIN_LISTEN=0.0.0.0:9301
EXPOSE 3001 9301
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/local/bin/realtime-gateway", "--probe"]
ENTRYPOINT ["/usr/local/bin/realtime-gateway"]
