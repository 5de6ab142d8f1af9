package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"
	"golang.org/x/sys/unix"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/doctor"
	"github.com/open-contracting/deploytoken/internal/gdoc"
	"github.com/open-contracting/deploytoken/internal/ledger"
	"github.com/open-contracting/deploytoken/internal/slackapp"
)

// probeWithin bounds a check of the doctor's, but for those of Kingfisher, which
// has a bound of its own in the configuration.
const probeWithin = 30 * time.Second

// The names of the checks that others need.
const (
	checkConfiguration = "configuration"
	checkBotToken      = "slack.bot_token"
	checkChannel       = "slack.channel"
	checkAppToken      = "slack.app_token"
	checkSignIn        = "google.sign_in"
	checkDocument      = "google.document.read"
	checkTab           = "google.spreadsheet.tab"
	checkKey           = "kingfisher.ssh.key"
	checkConnection    = "kingfisher.ssh.connection"
	checkHostKey       = "kingfisher.ssh.host_key"
	checkLogin         = "kingfisher.ssh.login"
	checkScript        = "kingfisher.script"
)

// Diagnosis lists the checks of all that the bot depends on by the configuration
// that the file at path and the environment give. They change nothing, and may
// be made while the bot runs. A configuration that isn't whole is a failed check
// itself; what can be tried without the missing part is. Done is to be called once
// the checks were made.
func Diagnosis(path string, env func(string) (string, bool), now func() time.Time) (checks []doctor.Check, done func()) {
	c, err := config.Load(path, env, config.Doctor)
	configured := doctor.Check{
		Name: checkConfiguration, Title: "configuration", Within: probeWithin,
		Probe: func(context.Context) (string, string, error) {
			if err != nil {
				return "", "", err
			}
			return cmp.Or(path, "from the environment alone"), "", nil
		},
	}
	d := &diagnosis{checks: []doctor.Check{configured}, now: now}
	if err == nil {
		d.add(c)
		return d.checks, d.close
	}
	// What is only missing leaves the rest to be tried; so does a file that can't
	// be read, as far as nothing in it is needed.
	for _, reads := range []config.Command{config.Show, config.Preflight} {
		for _, without := range []string{"", googleKey} {
			c, err := config.Load(path, func(name string) (string, bool) {
				if name == without {
					return "", false
				}
				return env(name)
			}, reads)
			if err == nil {
				d.keyless = without == googleKey
				d.add(c)
				return d.checks, d.close
			}
		}
	}
	d.tryIf(false, "everything.else", "everything else", nil)
	return d.checks, d.close
}

// googleKey is the variable that names Google's key file.
const googleKey = "GOOGLE_APPLICATION_CREDENTIALS"

// A diagnosis collects checks.
type diagnosis struct {
	checks  []doctor.Check
	closers []func()
	now     func() time.Time
	// keyless is whether Google's key file can't be used.
	keyless bool
}

func (d *diagnosis) close() {
	for _, f := range slices.Backward(d.closers) {
		f()
	}
}

// try adds a check of a probe whose errors are explained.
func (d *diagnosis) try(name, title string, probe doctor.Probe, needs ...string) {
	d.checks = append(d.checks, doctor.Check{
		Name: name, Title: title, Needs: needs, Within: probeWithin,
		Probe: func(ctx context.Context) (string, string, error) {
			found, warning, err := probe(ctx)
			if err != nil {
				return "", "", doctor.Problem(explain(err))
			}
			return found, warning, nil
		},
	})
}

// tryIf adds a check that waits for the configuration to be mended unless what
// it takes of it is given.
func (d *diagnosis) tryIf(given bool, name, title string, probe doctor.Probe, needs ...string) {
	if !given {
		needs = []string{checkConfiguration}
	}
	d.try(name, title, probe, needs...)
}

// fails returns a probe that fails for what is known before.
func fails(err error) doctor.Probe {
	return func(context.Context) (string, string, error) { return "", "", err }
}

// explain says what an error means, with its cause where that is what helps: of
// what can't be reached.
func explain(err error) string {
	fault, ok := errors.AsType[*deploytoken.Fault](err)
	if !ok {
		return err.Error()
	}
	if fault.Cause == nil || errors.Is(err, deploytoken.ErrMisconfigured) {
		return fault.Message
	}
	return fmt.Sprintf("%s (%s)", fault.Message, deploytoken.CleanLine(fault.Cause.Error(), 200))
}

func (d *diagnosis) add(c *config.Config) {
	d.try("reminders.schedule", "reminders", func(context.Context) (string, string, error) {
		schedule, err := cron.ParseStandard(c.Reminders.Schedule)
		if err != nil {
			return "", "", fmt.Errorf("reminders.schedule: %w", err)
		}
		return upcoming(schedule, d.now(), c.Timezone), "", nil
	})
	google := cmp.Or(c.Google.Endpoint, "https://docs.googleapis.com/")
	d.try("clock", "clock", doctor.Clock(d.now, c.Slack.APIURL+"api.test", google))
	d.try("store", "store", func(ctx context.Context) (string, string, error) { return tryStore(ctx, c) })
	d.try("http.address", "running bot", func(ctx context.Context) (string, string, error) {
		return tryRunning(ctx, c.HTTP.Address)
	})
	d.addSlack(c)
	d.addGoogle(c)
	d.addKingfisher(c.Kingfisher)
}

func (d *diagnosis) addSlack(c *config.Config) {
	groups := map[string]string{"access.group": c.Access.Group, "access.force_group": c.Access.ForceGroup}
	if c.Kingfisher != nil {
		groups["kingfisher.consent_group"] = c.Kingfisher.ConsentGroup
	}
	maps.DeleteFunc(groups, func(_, id string) bool { return id == "" })
	s := slackapp.NewDiagnosis(c.Slack.BotToken.Reveal(), c.Slack.AppToken.Reveal(), c.Slack.APIURL, c.Slack.Channel, c.Access.Group, len(groups) > 0)

	d.tryIf(!c.Slack.BotToken.Empty(), checkBotToken, "Slack: bot token", s.BotToken)
	d.try("slack.scopes", "Slack: scopes", s.Scopes, checkBotToken)
	d.tryIf(c.Slack.Channel != "", checkChannel, "Slack: channel", s.Channel, checkBotToken)
	d.try("slack.people", "Slack: people", s.People, checkBotToken, checkChannel)
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		d.try(key, strings.TrimPrefix(key, "kingfisher."), s.Group(groups[key]), checkBotToken)
	}
	d.tryIf(!c.Slack.AppToken.Empty(), checkAppToken, "Slack: app token", s.AppToken)
	d.try("slack.socket", "Slack: socket", s.Socket, checkAppToken)
}

func (d *diagnosis) addGoogle(c *config.Config) {
	client, err := gdoc.NewClient(gdoc.Config{CredentialsFile: c.Google.CredentialsFile, Endpoint: c.Google.Endpoint, Clock: d.now})
	signIn := fails(err)
	if err == nil {
		d.closers = append(d.closers, client.Close)
		signIn = client.TrySignIn
	}
	d.tryIf(!d.keyless, checkSignIn, "Google: sign-in", signIn)

	// Nothing is asked of a client that isn't there: all that needs it needs the
	// sign-in.
	document := client.Document(c.Google.Document, c.Google.Label)
	d.tryIf(c.Google.Document != "", checkDocument, "document: read", document.TryRead, checkSignIn)
	d.try("google.document.holder", "document: holder", document.TryHolder, checkDocument)
	d.try("google.document.write", "document: write", document.TryWrite, checkDocument)

	history, err := client.History(gdoc.HistoryConfig{
		Spreadsheet: c.Google.Spreadsheet, Sheet: c.Google.Sheet, Columns: c.Google.HistoryColumns, Location: c.Timezone,
	})
	tab := fails(err)
	if err == nil {
		tab = history.TryTab
	}
	d.tryIf(c.Google.Spreadsheet != "", checkTab, "history: tab", tab, checkSignIn)
	d.try("google.spreadsheet.write", "history: write", history.TryWrite, checkTab)
}

func (d *diagnosis) addKingfisher(k *config.Kingfisher) {
	if k == nil {
		d.checks = append(d.checks, doctor.Check{
			Name: "kingfisher", Title: "Kingfisher", Leave: "There is no section kingfisher in the configuration, so there are no busy checks.",
		})
		return
	}
	busy, err := newChecker(k, nil, d.now)
	if err != nil {
		d.try("kingfisher", "Kingfisher", fails(err))
		return
	}
	s := busy.Diagnose()
	d.closers = append(d.closers, s.Close)
	before := len(d.checks)
	d.try("kingfisher.scrapyd", "Kingfisher: Scrapyd", s.Scrapyd)
	d.try(checkKey, "Kingfisher: key file", s.Key)
	d.try(checkConnection, "Kingfisher: connection", s.Connection)
	d.try(checkHostKey, "Kingfisher: host key", s.HostKey, checkKey, checkConnection)
	d.try(checkLogin, "Kingfisher: login", s.Login, checkHostKey)
	d.try(checkScript, "Kingfisher: script", s.Script, checkLogin)
	d.try("kingfisher.processes", "Kingfisher: processes", s.Processes, checkScript)
	d.try("kingfisher.tmux", "Kingfisher: tmux", s.Tmux, checkScript)
	d.try("kingfisher.postgres", "Kingfisher: PostgreSQL", s.Postgres, checkScript)
	for i := range d.checks[before:] {
		d.checks[before+i].Within = k.Timeout
	}
}

// upcoming says in words when the schedule comes next, three times, by the
// zone's clock.
func upcoming(schedule cron.Schedule, now time.Time, zone *time.Location) string {
	var days []string
	var times []string
	day := ""
	flush := func() {
		if len(times) > 0 {
			days = append(days, day+" at "+enumerate(times))
		}
		times = nil
	}
	at := now.In(zone)
	for range 3 {
		if at = schedule.Next(at); at.IsZero() {
			break
		}
		on, clock := "Mon 2 Jan", "15:04"
		if at.Year() != now.In(zone).Year() {
			on += " 2006"
		}
		if at.Second() != 0 {
			clock += ":05"
		}
		if d := at.Format(on); d != day {
			flush()
			day = d
		}
		times = append(times, at.Format(clock))
	}
	flush()
	if len(days) == 0 {
		return "never again"
	}
	return fmt.Sprintf("next on %s (%s)", strings.Join(days, ", "), zone)
}

// enumerate joins "a", "a and b", "a, b and c".
func enumerate(list []string) string {
	if n := len(list) - 1; n > 0 {
		return strings.Join(list[:n], ", ") + " and " + list[n]
	}
	return strings.Join(list, "")
}

// tryStore finds out whether the store can be read and written, and changes
// nothing in it. It neither makes nor migrates one.
func tryStore(ctx context.Context, c *config.Config) (found, warning string, err error) {
	where := c.Store.URL.String()
	path, file := strings.CutPrefix(c.Store.URL.Reveal(), "sqlite:")
	if abs, err := filepath.Abs(path); file && err == nil {
		where = abs
	}
	store, err := ledger.Open(ctx, c.Store.URL.Reveal(), ledger.Options{ReadOnly: true})
	if errors.Is(err, ledger.ErrNoStore) {
		if file {
			if err := mayMake(path); err != nil {
				return "", "", err
			}
		}
		return where + ": nothing there yet; the bot sets it up when it starts", "", nil
	}
	if err != nil {
		return "", "", err
	}
	record, err := store.Record(ctx, c.Google.Document)
	if err := errors.Join(err, store.Close()); err != nil {
		return "", "", err
	}
	found = where + ": of this release, "
	if file {
		state, err := mayWrite(path)
		if err != nil {
			return "", "", err
		}
		found += state
	} else {
		// Opening it so writes what changes nothing.
		store, err := ledger.Open(ctx, c.Store.URL.Reveal(), ledger.Options{})
		if err != nil {
			return "", "", err
		}
		if err := store.Close(); err != nil {
			return "", "", err
		}
		found += "can be written"
	}
	if record.PendingRows > 0 {
		warning = fmt.Sprintf("%d of the history's entries are still to be written; the bot goes on trying.", record.PendingRows)
	}
	return found, warning, nil
}

// mayMake finds out whether a file may be made at path.
func mayMake(path string) error {
	dir := filepath.Dir(path)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	switch err := unix.Access(dir, unix.W_OK|unix.X_OK); {
	case errors.Is(err, fs.ErrNotExist):
		return doctor.Problem(fmt.Sprintf("The store is to be made in %s, which does not exist: create that directory, and let the account that the bot runs as write to it.", dir))
	case err != nil:
		return doctor.Problem(fmt.Sprintf("The store can't be made in %s (%v): let the account that the bot runs as write to it.", dir, err))
	}
	return nil
}

// mayWrite finds out whether the SQLite file at path can be written, and says
// whether a bot is at work on it. It makes no file, which would belong to
// whoever runs the doctor.
func mayWrite(path string) (state string, err error) {
	for _, p := range []string{path, path + ".lock", filepath.Dir(path)} {
		if err := unix.Access(p, unix.W_OK); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", doctor.Problem(fmt.Sprintf("%s can't be written (%v): let the account that the bot runs as write it. This was tried as %s.", p, err, account()))
		}
	}
	lock, err := os.Open(path + ".lock")
	if err == nil {
		defer lock.Close()
		// A bot that serves holds it alone.
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			return "in use by a bot that runs", nil
		}
	}
	state = "can be written by " + account()
	if info, err := os.Stat(path); err == nil && os.Geteuid() == 0 {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
			state += fmt.Sprintf("; the file is the user ID %d's", owner.Uid)
		}
	}
	return state, nil
}

// account names the account that this process runs as.
func account() string {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Sprintf("the user ID %d", uid)
	}
	return "root"
}

// tryRunning finds out whether a bot runs here, and whether it is ready.
func tryRunning(ctx context.Context, address string) (found, warning string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("http.address: %w", err)
	}
	if port == "0" {
		return "its port is chosen when it starts, so it can't be looked for", "", nil
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	reach := net.JoinHostPort(host, port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reach+"/readyz", nil)
	if err != nil {
		return "", "", fmt.Errorf("http.address: %w", err)
	}
	// No proxy stands before this machine's own address.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return "", "", doctor.Problem(fmt.Sprintf("http.address: no bot answers on %s, and none can listen there: %v. Another program may use that port; choose another.", address, err))
		}
		listener.Close()
		return "none on " + reach + ", which is free", "", nil
	}
	defer answer.Body.Close()
	var parts map[string]string
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&parts); err != nil || parts["store"] == "" {
		return "", "", doctor.Problem(fmt.Sprintf("http.address: another program than the bot answers on %s. Choose another address.", reach))
	}
	if answer.StatusCode == http.StatusOK {
		return "ready, on " + reach, "", nil
	}
	var troubles []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name] != "ok" {
			troubles = append(troubles, name+": "+strings.TrimSuffix(parts[name], "."))
		}
	}
	return "", "", doctor.Problem(fmt.Sprintf("The bot that runs on %s is not ready: %s. If all else here is well, look at its log.", reach, strings.Join(troubles, "; ")))
}
