# Nothing here needs BuildKit: runners with a Docker before 23 build an action without it.
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
# Without grpc's tracing pages, which bring templates, the linker drops what is never called: 8 MB less.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags grpcnotrace \
      -ldflags "-s -w -X github.com/org/image-budget/internal/cli.version=${VERSION}" -o /image-budget .

# A base with a shell, because runners inside Kubernetes start an action with sh, env, tail, tar, find and chmod. It brings the
# certificates of the certificate authorities as well: nothing is installed here.
FROM alpine:3.22
LABEL org.opencontainers.image.title="image-budget" \
      org.opencontainers.image.description="Keeps a container image within a size budget" \
      org.opencontainers.image.source="https://github.com/org/image-budget" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/alpine:3.22"
COPY --from=build /image-budget /image-budget
# It runs as root, and has no USER line, because the runner mounts its workspace, its output files and the engine's socket with
# the owners they have on the host; nobody else could open them. What it writes into the workspace it hands to the workspace's owner.
# It has no WORKDIR either: the runner sets its own.
ENTRYPOINT ["/image-budget"]
