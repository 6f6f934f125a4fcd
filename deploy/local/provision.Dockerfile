# docker compose's one-shot that creates topics and subscriptions.

# Go cross-compiles: this runs on the machine's own platform, whatever it builds for.
# The legacy builder has no such argument.
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26 AS build
WORKDIR /src
ENV GOWORK=off CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"
COPY proto/go.mod proto/go.sum proto/
COPY pkg/go.mod pkg/go.sum pkg/
COPY test/go.mod test/go.sum test/
RUN cd test && go mod download
COPY proto proto
COPY pkg pkg
COPY test test
ARG TARGETARCH
RUN cd test && GOARCH=$TARGETARCH go build -ldflags "-s -w" -o /out/provision ./cmd/provision

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/provision /provision
USER 65532:65532
ENTRYPOINT ["/provision"]
