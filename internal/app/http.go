package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what the bot tells Prometheus.
type metrics struct {
	registry   *prometheus.Registry
	acks       *prometheus.HistogramVec
	deliveries *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		acks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "deploytoken_slack_ack_seconds",
			Help:    "Time from an envelope of Slack's to its acknowledgement.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2, 3},
		}, []string{"kind"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "deploytoken_deliveries_total",
			Help: "Attempts to deliver a message or a history row, by destination and result.",
		}, []string{"destination", "result"}),
	}
	m.registry.MustRegister(m.acks, m.deliveries,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// A probe says whether one dependency is well, and why not.
type probe struct {
	name  string
	check func(context.Context) error
}

// serveHTTP serves /healthz (the process is alive), /readyz (it can do its
// work) and /metrics until ctx ends.
// The probes come once there is a store to look at; until then it isn't ready.
func (a *App) serveHTTP(ctx context.Context, l net.Listener, coming <-chan []probe) error {
	var mu sync.Mutex
	probes := []probe{{"store", func(context.Context) error { return errors.New("not opened yet") }}}
	known := func() []probe {
		mu.Lock()
		defer mu.Unlock()
		select {
		case probes = <-coming:
		default:
		}
		return probes
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		status, said := http.StatusOK, map[string]string{}
		for _, p := range known() {
			said[p.name] = "ok"
			if err := p.check(ctx); err != nil {
				status, said[p.name] = http.StatusServiceUnavailable, err.Error()
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(said)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	}
	return nil
}
