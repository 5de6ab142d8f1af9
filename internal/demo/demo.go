// Package demo runs the bot against local servers that stand in for Slack,
// Google and Kingfisher, with a page in the browser that shows all of them, so
// that the bot can be tried with no account and nothing to install.
//
// The bot is a process of its own, run as “bot serve” is, which is why it can be
// killed: only its configuration, its clock (see Attach) and the addresses of
// the servers are the demo's.
//
// The page is a client like any other. It is told what is the case by
// server-sent events (GET /events), and what people do there goes to the control
// interfaces of the local servers, mounted here under /slack/, /google/ and
// /kingfisher/; what they have is described by the packages of internal/sandbox.
// The demo's own are
//
//	POST bot/kill     the bot dies at once, as of SIGKILL
//	POST bot/start
//	POST clock        {skip: "1h"}
//	POST faults/ID    {on: true}, where ID is one of those that the page lists
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// endWithin is how long requests in progress may take once the demo is to end.
const endWithin = 2 * time.Second

// Config says how to run the demo.
type Config struct {
	// Address is where the page is served: host:port, on the loopback interface.
	Address string
	// Bot is the program that runs the bot, with its arguments. It has the
	// bot's configuration in its environment, logs JSON to standard error, and
	// calls Attach with its standard input.
	Bot []string
	// Listening is called with the page's address once it is served.
	Listening func(url string)
	// Log hears of what doesn't belong on the page.
	Log *slog.Logger
}

// Run runs the demo until ctx ends. Everything in it is gone then.
func Run(ctx context.Context, c Config) (err error) {
	listener, err := listen(ctx, c.Address)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "deploytoken-demo-")
	if err != nil {
		return errors.Join(fmt.Errorf("demo: making a directory for the bot's files: %w", err), listener.Close())
	}
	defer func() {
		if e := os.RemoveAll(dir); e != nil && err == nil {
			err = fmt.Errorf("demo: removing the bot's files: %w", e)
		}
	}()
	w, err := newWorld(dir, c)
	if err != nil {
		return errors.Join(fmt.Errorf("demo: %w", err), listener.Close())
	}
	defer w.close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler:           w.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if c.Listening != nil {
		c.Listening("http://" + listener.Addr().String() + "/")
	}
	select {
	case <-ctx.Done():
		cancel() // ends the streams of events
		ending, stop := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer stop()
		if err := server.Shutdown(ending); err != nil {
			server.Close()
		}
		<-served
		return nil
	case err := <-served:
		return fmt.Errorf("demo: serving the page: %w", err)
	}
}

// listen listens on a loopback address: the page has a button for whatever
// people can do, and is for the people at this machine.
func listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--address: %q is not a host and port; write it as host:port", address)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("--address: %q is not on the loopback interface, such as 127.0.0.1:8080: the demo is for this machine alone", address)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--address: can't listen on %s: %w. Another program may use that port: try --address 127.0.0.1:0, which takes any that is free", address, err)
	}
	return l, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
