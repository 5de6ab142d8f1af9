package kingfisher

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestNew(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"all well", func(c *Config) {}, ""},
		{"no port", func(c *Config) { c.SSHAddress = "kingfisher" }, ""},
		{"IPv6", func(c *Config) { c.SSHAddress = "[2001:db8::1]:22" }, ""},
		{"IPv6 without a port", func(c *Config) { c.SSHAddress = "2001:db8::1" }, ""},
		{"no Scrapyd", func(c *Config) { c.ScrapydURL = "" }, "kingfisher.scrapyd_url: "},
		{"no scheme", func(c *Config) { c.ScrapydURL = "kingfisher:6800" }, "kingfisher.scrapyd_url: "},
		{"a password in the address", func(c *Config) { c.ScrapydURL = "https://a:hunter2@b/" }, "put them into SCRAPYD_USERNAME and SCRAPYD_PASSWORD"},
		{"a broken address with a password", func(c *Config) { c.ScrapydURL = "https://a:hunter2@b:x/" }, "kingfisher.scrapyd_url: not a valid address"},
		{"no SSH", func(c *Config) { c.SSHAddress = "" }, "kingfisher.ssh.address: it is empty"},
		{"a wrong port", func(c *Config) { c.SSHAddress = "a:x" }, "kingfisher.ssh.address: "},
		{"a knock without a port", func(c *Config) { c.KnockAddress = "a" }, "kingfisher.ssh.knock_address: "},
		{"a negative time", func(c *Config) { c.Timeout = -1 }, "kingfisher.timeout: "},
		{"a negative query", func(c *Config) { c.LongQuery = -1 }, "kingfisher.long_query: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := testConfig()
			tt.change(&config)
			_, err := New(config)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("the error is %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	c := testChecker(t)
	tests := []struct {
		marks    []string
		mark, id string
	}{
		{nil, "", ""},
		{[]string{"", ""}, "", ""},
		{[]string{"xy", "bob"}, "xy", ""},
		{[]string{"xy", "ALICE"}, "ALICE", "U0ALICE"},
		{[]string{"", "bob"}, "bob", ""},
		{[]string{"JM", "alice"}, "JM", "U0JM"},
	}
	for _, tt := range tests {
		if mark, id := c.owner(tt.marks...); mark != tt.mark || id != tt.id {
			t.Errorf("the owner by %q is %q %q, want %q %q", tt.marks, mark, id, tt.mark, tt.id)
		}
	}
}

func TestOutcome(t *testing.T) {
	o := outcome{check: "x"}
	for i := range maxFindings + 5 {
		o.add(deploytoken.Finding{Age: time.Duration(i)})
	}
	o.add(deploytoken.Finding{What: "blocks", Blocks: true})
	o.unknown("Something is not known.")
	got := o.result()
	if got.State != deploytoken.Busy || len(got.Findings) != maxFindings || got.Findings[0].What != "blocks" || got.Findings[1].Age != maxFindings+4 {
		t.Errorf("%s with %d findings, first %+v", got.State, len(got.Findings), got.Findings[:2])
	}
	if !got.Partial {
		t.Error("what is not known is not partial")
	}
	if got.Reason != "Something is not known. 6 more are not shown." {
		t.Errorf("the reason is %q", got.Reason)
	}
}

// A remark is not something that could not be looked at.
func TestARemarkIsNotPartial(t *testing.T) {
	o := outcome{check: "x"}
	o.remark("Something is worth knowing.")
	if got := o.result(); got.State != deploytoken.Idle || got.Partial || got.Reason == "" {
		t.Errorf("%+v", got)
	}
}

func TestWorkID(t *testing.T) {
	ids := map[string]bool{}
	for _, particulars := range [][]string{nil, {""}, {"", ""}, {"a", "b"}, {"ab"}, {"ab", ""}, {"1:a", "b"}, {strings.Repeat("x", 10_000)}, {"<!channel> \u202e|*\n"}} {
		id := workID("process", particulars...)
		if !plainID(id) || ids[id] || id != workID("process", particulars...) {
			t.Errorf("the ID of %.40q is %q", particulars, id)
		}
		ids[id] = true
	}
	if ids[workID("job", "ab")] {
		t.Error("work of two kinds has the same ID")
	}
}

func TestBusyChecksWhatIsNamed(t *testing.T) {
	c := testChecker(t)
	var told []string
	report := c.Busy(context.Background(), []string{"tmux", "nonsense", "tmux", "scrapyd"}, func(r deploytoken.CheckResult) { told = append(told, r.Check) })
	var names []string
	for _, r := range report.Checks {
		names = append(names, r.Check)
		if r.State != deploytoken.Unknown || r.Reason == "" || !r.Partial {
			t.Errorf("%s is %s, %q, partial %t", r.Check, r.State, r.Reason, r.Partial)
		}
	}
	if !slices.Equal(names, []string{"scrapyd", "tmux", "nonsense"}) {
		t.Errorf("the report has %q", names)
	}
	slices.Sort(told)
	if !slices.Equal(told, []string{"scrapyd", "tmux"}) {
		t.Errorf("was told of %q", told)
	}
}
