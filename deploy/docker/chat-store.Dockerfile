# syntax=docker/dockerfile:1
# chat-store: built with the toolchain of rust-toolchain.toml, run without shell, package manager or root.
#
#   docker build --file deploy/docker/chat-store.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) .

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
# What the banner says, and the label below.
ARG REVISION=unknown
COPY . .
# Registry and build output are kept between builds; what is to stay in the image is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    SQLX_OFFLINE=true GIT_REVISION="${REVISION}" cargo build --release --locked --package chat-store \
    && cp target/release/chat-store /usr/local/bin/chat-store

# glibc, libgcc, CA certificates and time zones.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chat-store" \
      org.opencontainers.image.description="Everything durable of the chat: Postgres, REST" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /usr/local/bin/chat-store /usr/local/bin/chat-store
ENV LOG_FORMAT=json \
    STORE_LISTEN=0.0.0.0:3100 \
    STORE_INTERNAL_LISTEN=0.0.0.0:3101 \
    STORE_ADMIN_LISTEN=0.0.0.0:3102
EXPOSE 3100 3101 3102
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/local/bin/chat-store", "--probe"]
ENTRYPOINT ["/usr/local/bin/chat-store"]
