# The operator's image: `make docker-build`. For several platforms at once: docker buildx build --platform linux/amd64,linux/arm64 .
# Each platform is built on its own kind of machine or under emulation; nothing is cross-compiled.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --locked --release --package etcdop-operator --bin etcd-operator
# The guard runs in etcd's own image, which has no C library.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --locked --release --package etcdop-guard --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir guard \
    && mkdir /out \
    && cp target/release/etcd-operator guard/*/release/etcdop-guard /out/

# With glibc and without a shell; `nonroot` is user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/etcd-operator"]
