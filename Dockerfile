# syntax=docker/dockerfile:1

# To pin the image to what you have tried, give its digest:
# --build-arg GO=golang:1.26-bookworm@sha256:…
ARG GO=golang:1.26-bookworm
FROM ${GO} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=true -ldflags="-s -w -X main.program=deploytoken" -o /deploytoken ./cmd/bot && \
    mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /deploytoken /usr/local/bin/deploytoken
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
# The SQLite store is made here, where store.url doesn't say otherwise.
WORKDIR /data
VOLUME /data
ENV HTTP_ADDRESS=:8080
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s --retries=3 CMD ["/usr/local/bin/deploytoken", "health"]
ENTRYPOINT ["/usr/local/bin/deploytoken"]
CMD ["serve", "--config", "/etc/deploytoken/bot.yaml"]
