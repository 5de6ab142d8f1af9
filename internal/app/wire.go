package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/kingfisher"
	"github.com/open-contracting/deploytoken/internal/slackapp"
)

// wire makes the parts that work on the store.
func (a *App) wire() {
	c := a.config
	a.slack = slackapp.NewClient(c.Slack.BotToken.Reveal(), c.Slack.AppToken.Reveal(), c.Slack.APIURL)
	a.people = slackapp.NewDirectory(a.slack, c.Slack.Channel, c.Access.Group, a.clock)
	rules := deploytoken.Config{
		Document:      a.document,
		Directory:     a.people,
		Ledger:        a.store,
		Channel:       c.Slack.Channel,
		StaleAfter:    c.Reminders.StaleAfter,
		WorkingHours:  a.workingHours,
		WatchInterval: c.Google.WatchInterval,
		Busy:          a.busy,
		ForceGroup:    c.Access.ForceGroup,
		Turn:          c.Waitlist.Turn,
		Zone:          c.Timezone,
		Clock:         a.clock,
		Log:           a.log,
	}
	if c.Kingfisher != nil {
		rules.KingfisherWords, rules.ConsentGroup = c.Kingfisher.Words, c.Kingfisher.ConsentGroup
	}
	a.service = deploytoken.New(rules)
	a.inbound = slackapp.NewInbound(slackapp.InboundConfig{
		Client:      a.slack,
		Commands:    a.service,
		Members:     a.people,
		ByGroup:     c.Access.Group != "",
		History:     a.history,
		Servers:     c.Servers,
		Busy:        a.busy,
		OverrideURL: a.overrideURL(),
		OnAck:       func(kind string, d time.Duration) { a.metrics.acks.WithLabelValues(kind).Observe(d.Seconds()) },
		Log:         a.log,
		Now:         a.clock,
	})
}

// overrideURL is the address of how to deploy to Kingfisher without losing what
// runs there; "" for none.
func (a *App) overrideURL() string {
	if a.config.Kingfisher == nil {
		return ""
	}
	return a.config.Kingfisher.OverrideURL
}

func (a *App) drainer() *drainer {
	return &drainer{
		outbox:    a.store,
		messenger: slackapp.NewDeliverer(a.slack, a.overrideURL()),
		history:   a.history,
		status:    a.service.Status,
		link:      a.config.Google.DocumentLink(),
		channel:   deploytoken.ToChannel(a.config.Slack.Channel),
		clock:     a.clock,
		began:     a.clock(),
		lookEvery: 500 * time.Millisecond,
		log:       a.log,
		onDelivered: func(destination string, err error) {
			kind, _, _ := strings.Cut(destination, ":")
			result := "delivered"
			if err != nil {
				result = "failed"
			}
			if errors.Is(err, deploytoken.ErrMisconfigured) && destination != deploytoken.ToSheet && destination != deploytoken.ToSweep {
				select {
				case a.refused <- struct{}{}:
				default:
				}
			}
			a.metrics.deliveries.WithLabelValues(kind, result).Inc()
		},
	}
}

// newChecker makes the busy checks, by their section of the configuration.
func newChecker(k *config.Kingfisher, log *slog.Logger, clock func() time.Time) (*kingfisher.Checker, error) {
	return kingfisher.New(kingfisher.Config{
		ScrapydURL:      k.ScrapydURL,
		ScrapydUsername: k.ScrapydUsername.Reveal(),
		ScrapydPassword: k.ScrapydPassword.Reveal(),
		SSHAddress:      k.SSH.Address,
		SSHUser:         k.SSH.User,
		IdentityFile:    k.SSH.IdentityFile,
		KnownHostsFile:  k.SSH.KnownHostsFile,
		KnockAddress:    k.SSH.KnockAddress,
		TmuxUsers:       k.TmuxUsers,
		LongQuery:       k.LongQuery,
		Timeout:         k.Timeout,
		People:          k.People,
		Now:             clock,
		Logger:          log,
	})
}

// probes are what has to be well for the bot to be ready.
func (a *App) probes() []probe {
	return []probe{
		{"slack", func(context.Context) error {
			connected, heard, err := a.inbound.Health()
			switch {
			case err != nil:
				return fmt.Errorf("the socket: %s", deploytoken.Explain(err))
			case !connected:
				return errConnecting
			case time.Since(heard) > heardWithin:
				return fmt.Errorf("not heard from since %s", heard.UTC().Format(time.RFC3339))
			}
			return nil
		}},
		{"store", a.store.Ping},
		{"document", func(ctx context.Context) error {
			r, err := a.store.Record(ctx, a.config.Google.Document)
			if err != nil {
				return err
			}
			if r.Observed.IsZero() || !a.reached.Load() {
				return fmt.Errorf("not read yet")
			}
			if since := a.clock().Sub(r.Observed); since > readWithin+4*a.config.Google.WatchInterval {
				return fmt.Errorf("not read since %s", r.Observed.UTC().Format(time.RFC3339))
			}
			return nil
		}},
	}
}

// watchState registers what is read when Prometheus asks.
func (a *App) watchState() {
	a.metrics.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "deploytoken_slack_connected", Help: "1 while Slack's socket is connected.",
		}, func() float64 {
			if connected, _, _ := a.inbound.Health(); connected {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "deploytoken_slack_last_heard_timestamp_seconds", Help: "When Slack's socket was last heard from.",
		}, func() float64 {
			_, heard, _ := a.inbound.Health()
			return float64(heard.Unix())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "deploytoken_history_rows_pending", Help: "History entries that are still to be written; -1 where that can't be read.",
		}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			r, err := a.store.Record(ctx, a.config.Google.Document)
			if err != nil {
				return -1
			}
			return float64(r.PendingRows)
		}),
	)
}
