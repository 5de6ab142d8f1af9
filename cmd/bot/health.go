package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthWithin is how long the bot has to answer for its health. It gives each
// of its own probes less.
const healthWithin = 5 * time.Second

// healthCommand is for a container's health check, where there is no other
// program to ask with.
func healthCommand(stdout io.Writer, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "health",
		Short: "Say whether the bot that runs here is ready",
		Long: "health asks the bot that runs on this machine whether it is ready: whether Slack, the store and the document can be reached.\n" +
			"It exits 0 if so, else 1, and prints what is not. It is for a container's health check.",
		Args: noArguments,
	}
	preset, _ := env("HTTP_ADDRESS")
	if preset == "" {
		preset = "127.0.0.1:8080"
	}
	address := c.Flags().String("address", preset, "the `host:port` of the bot's http.address; HTTP_ADDRESS, where that is set")
	c.RunE = func(c *cobra.Command, _ []string) error {
		host, port, err := hostAndPort(*address)
		if err != nil {
			return err
		}
		// Where it listens at all of the machine's addresses, so it does at this
		// one. A container may have no file that tells what localhost is.
		switch host {
		case "", "0.0.0.0":
			host = "127.0.0.1"
		case "::":
			host = "::1"
		}
		ctx, cancel := context.WithTimeout(c.Context(), healthWithin)
		defer cancel()
		return health(ctx, stdout, "http://"+net.JoinHostPort(host, port)+"/readyz")
	}
	return c
}

// hostAndPort reads what --address was given.
func hostAndPort(address string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", usageError{fmt.Errorf("--address: %q is not a host and port; write it as host:port", address)}
	}
	return host, port, nil
}

// health asks for the bot's readiness, and fails with what it answers where that
// is not what it should be.
func health(ctx context.Context, stdout io.Writer, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// The bot is on this machine, and no proxy of the environment's before it.
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		reason := err
		if e, ok := errors.AsType[*net.OpError](err); ok {
			reason = e.Err
		}
		return fmt.Errorf("the bot does not answer at %s: see that it runs, and that --address is its http.address (%w)", url, reason)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("the bot's answer at %s was cut off: %w", url, err)
	}
	said := strings.TrimSpace(string(text))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", said)
	}
	_, err = fmt.Fprintln(stdout, "ready:", said)
	return err
}
