package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/open-contracting/deploytoken/internal/app"
	"github.com/open-contracting/deploytoken/internal/config"
)

func auditCommand(stdout io.Writer, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "List what the bot decided, from its store",
		Long: "audit lists what the bot decided, from its store: who took or released the token, who was told what, what was changed by hand.\n" +
			"It may run beside bot serve. With --json it writes one JSON object a line, to export.",
		Example: "  bot audit --config bot.yaml --since 7d\n  bot audit --config bot.yaml --limit 0 --json > audit.jsonl",
		Args:    noArguments,
	}
	load := configFlag(c, config.Audit, env)
	var q app.AuditQuery
	c.Flags().StringVar(&q.Person, "person", "", "only what this Slack `user` ID asked, or was held to have done")
	c.Flags().StringVar(&q.Holding, "holding", "", "only what was about the holding of this `ID`, the history's Entry ID")
	c.Flags().StringVar(&q.Command, "command", "", "only what became of the command of this `ID`, as in the log")
	since := c.Flags().String("since", "", "only from this `time` on: 2026-03-14, 2026-03-14T09:00:00Z, or how long ago: 36h, 7d")
	until := c.Flags().String("until", "", "only before this `time`, given likewise")
	c.Flags().IntVar(&q.Limit, "limit", 50, "at most so many, the latest; 0 for all")
	asJSON := c.Flags().Bool("json", false, "write one JSON object a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if q.Limit < 0 {
			return usageError{fmt.Errorf("--limit: %d is less than 0", q.Limit)}
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		now := time.Now()
		if q.Since, err = parseTime(*since, now, cfg.Timezone); err != nil {
			return usageError{fmt.Errorf("--since: %w", err)}
		}
		if q.Until, err = parseTime(*until, now, cfg.Timezone); err != nil {
			return usageError{fmt.Errorf("--until: %w", err)}
		}
		events, err := app.Audit(c.Context(), cfg, q)
		if err != nil {
			return err
		}
		return app.WriteAudit(stdout, events, *asJSON, cfg.Timezone)
	}
	return c
}

// parseTime reads a time: a date or a date and time in the zone, RFC 3339, or
// how long before now, with d for days of 24 hours. Nothing is the zero time.
func parseTime(s string, now time.Time, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	var days int
	if n, err := fmt.Sscanf(s, "%dd", &days); err == nil && n == 1 && fmt.Sprintf("%dd", days) == s && days >= 0 && days <= 100000 {
		return now.Add(-time.Duration(days) * 24 * time.Hour), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-03-14, 2026-03-14T09:00:00Z, 36h or 7d", s)
}
