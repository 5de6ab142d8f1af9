# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /deploytoken ./cmd/bot && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /deploytoken /usr/local/bin/deploytoken
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV STORE_URL=sqlite:/data/deploytoken.db HTTP_ADDRESS=:8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/deploytoken"]
CMD ["serve"]
