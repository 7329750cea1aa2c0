# The command on Debian slim, as a user without rights; the image as a whole was not built where this file was written.
#
#   docker build -t driftline .
#   docker run --rm -p 8080:8080 -e DRIFTLINE__SERVE__TOKEN=… -v driftline:/store driftline
#   docker run --rm -v "$PWD:/data:ro" driftline drift --baseline /data/baseline.parquet --window /data/window.parquet

FROM rust:1.95-slim-bookworm AS build
WORKDIR /driftline
COPY . .
RUN cargo build --release --locked --bin driftline \
    && strip target/release/driftline

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home driftline \
    && install -d -o driftline -g driftline /store
COPY --from=build /driftline/target/release/driftline /usr/local/bin/driftline
COPY --from=build /driftline/LICENSE-MIT /driftline/LICENSE-APACHE /usr/local/share/doc/driftline/
USER 10001
WORKDIR /store
VOLUME /store
EXPOSE 8080
# For the default command; another one ends before it is asked.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD curl --fail --silent http://127.0.0.1:8080/healthz || exit 1
ENTRYPOINT ["driftline"]
CMD ["serve", "--store", "/store", "--listen", "0.0.0.0:8080"]
