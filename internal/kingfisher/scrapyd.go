package kingfisher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// maxBody is how much of one of Scrapyd's answers is read. An answer also has
// the finished jobs, of which Scrapyd keeps 100 unless told otherwise.
const maxBody = 8 << 20

// A scrapydJob is a job in Scrapyd's listjobs.json.
type scrapydJob struct {
	// Project is "" in Scrapyd 1.2, whose answers are for one project.
	Project string `json:"project"`
	Spider  string `json:"spider"`
	ID      string `json:"id"`
	// PID is of the spider's process, for running jobs.
	PID int `json:"pid"`
	// StartTime is by the server's clock, without a time zone.
	StartTime string `json:"start_time"`
	// Args are of pending jobs, since Scrapyd 1.5.
	Args map[string]any `json:"args"`
}

// scrapydJobs are the jobs that a deployment would interrupt.
type scrapydJobs struct {
	Running []scrapydJob `json:"running"`
	Pending []scrapydJob `json:"pending"`
}

// A scrapydError is an answer of Scrapyd's that says that something is wrong,
// which comes with the HTTP status 200.
type scrapydError struct{ message string }

// errNotScrapyd means that an answer is not one of Scrapyd's.
var errNotScrapyd = errors.New("what answers is not Scrapyd: check kingfisher.scrapyd_url")

func (e *scrapydError) Error() string {
	return fmt.Sprintf("the answer of Scrapyd is an error: %s", e.message)
}

// jobs asks Scrapyd for its jobs. Its errors are sentences for people, without
// a full stop.
func (c *Checker) jobs(ctx context.Context) (scrapydJobs, error) {
	defer c.http.CloseIdleConnections()
	jobs, err := c.listJobs(ctx, nil)
	var says *scrapydError
	if err == nil || !errors.As(err, &says) || !strings.Contains(says.message, "project") {
		return jobs, err
	}
	// Scrapyd 1.2 answers for one project at a time.
	var list struct {
		Projects []string `json:"projects"`
	}
	if err := c.ask(ctx, "listprojects.json", nil, &list); err != nil {
		return scrapydJobs{}, err
	}
	if list.Projects == nil {
		return scrapydJobs{}, errNotScrapyd
	}
	for _, project := range list.Projects {
		some, err := c.listJobs(ctx, url.Values{"project": {project}})
		if err != nil {
			return scrapydJobs{}, err
		}
		for _, job := range some.Running {
			job.Project = project
			jobs.Running = append(jobs.Running, job)
		}
		for _, job := range some.Pending {
			job.Project = project
			jobs.Pending = append(jobs.Pending, job)
		}
	}
	return jobs, nil
}

// listJobs asks for the jobs, whose absence from the answer is not the same as
// none.
func (c *Checker) listJobs(ctx context.Context, query url.Values) (scrapydJobs, error) {
	var jobs scrapydJobs
	if err := c.ask(ctx, "listjobs.json", query, &jobs); err != nil {
		return scrapydJobs{}, err
	}
	if jobs.Running == nil || jobs.Pending == nil {
		return scrapydJobs{}, errNotScrapyd
	}
	return jobs, nil
}

// ask gets one of Scrapyd's JSON pages into answer.
func (c *Checker) ask(ctx context.Context, page string, query url.Values, answer any) error {
	at := c.scrapyd.JoinPath(page)
	at.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return fmt.Errorf("the address %s of Scrapyd can't be used: %w", at, err)
	}
	request.Header.Set("User-Agent", "deploytoken")
	if c.config.ScrapydUsername != "" || c.config.ScrapydPassword != "" {
		request.SetBasicAuth(c.config.ScrapydUsername, c.config.ScrapydPassword)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.scrapydFailure(ctx, err)
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusUnauthorized && c.config.ScrapydUsername == "":
		return fmt.Errorf("the Scrapyd at %s asks for a user name and password: set SCRAPYD_USERNAME and SCRAPYD_PASSWORD", c.scrapyd)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("the Scrapyd at %s refuses its user name or password (%d): correct SCRAPYD_USERNAME and SCRAPYD_PASSWORD", c.scrapyd, code)
	case code >= 300 && code < 400:
		// Nothing is followed: the password would go where nobody configured.
		to := "another address"
		if location, err := response.Location(); err == nil {
			to = location.Scheme + "://" + location.Host
		}
		return fmt.Errorf("the Scrapyd at %s redirects to %s: correct kingfisher.scrapyd_url", c.scrapyd, oneLine(to, maxName))
	case code == http.StatusNotFound:
		return fmt.Errorf("there is no Scrapyd at %s (404): correct kingfisher.scrapyd_url", c.scrapyd)
	default:
		return fmt.Errorf("the Scrapyd at %s answers %d: look at it, and at the web server before it", c.scrapyd, code)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return c.scrapydFailure(ctx, err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("the Scrapyd at %s sent more than can be read: lower its finished_to_keep", c.scrapyd)
	}
	return parseAnswer(body, answer)
}

// parseAnswer reads one of Scrapyd's answers, which say themselves whether they
// are errors.
func parseAnswer(body []byte, answer any) error {
	var head struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.Status == "" {
		return errNotScrapyd
	}
	if head.Status != "ok" {
		return &scrapydError{message: command(cmp.Or(head.Message, head.Status), maxName)}
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return errors.New("the answer of Scrapyd is not understood: its version may be newer than this bot knows")
	}
	return nil
}

// scrapydFailure says why there was no answer from Scrapyd.
func (c *Checker) scrapydFailure(ctx context.Context, err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var netErr net.Error
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil, errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Errorf("the Scrapyd at %s did not answer %s", c.scrapyd, c.within(ctx))
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("there is no server of the name %s: correct kingfisher.scrapyd_url", c.scrapyd.Hostname())
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the connection to Scrapyd at %s was refused: check that it runs", c.scrapyd)
	}
	return fmt.Errorf("the Scrapyd at %s could not be reached: %w", c.scrapyd, err)
}

// started returns how long ago a job started, by the server's clock in its
// zone.
func (j scrapydJob) started(now time.Time, zone *time.Location) (time.Duration, bool) {
	for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05"} {
		// A fraction of a second is read though the layout has none.
		if t, err := time.ParseInLocation(layout, j.StartTime, zone); err == nil {
			return max(0, now.Sub(t).Truncate(time.Second)), true
		}
	}
	return 0, false
}

// scrapydResult tells which spiders run, from what Scrapyd says and from the
// server's processes. What only the processes show are jobs beside Scrapyd, and
// would be interrupted as well: a spider started by cron or by hand, one that
// outlived its Scrapyd, a one-off container that loads data. Those in tmux are
// left to the check of tmux, if that is made too. Where the processes can't be
// seen, Scrapyd's word is enough, with a remark; where Scrapyd can't be asked,
// the processes only prove that something runs, not that nothing does.
func (c *Checker) scrapydResult(jobs scrapydJobs, jobsErr error, h hello, s section, processesErr error, tmuxToo bool) deploytoken.CheckResult {
	o := outcome{check: deploytoken.CheckScrapyd}
	var table processTable
	if processesErr == nil {
		table, processesErr = processesOf(s)
	}
	if processesErr == nil && !s.complete {
		processesErr = errPartial
	}
	if jobsErr != nil {
		o.unknown("%s.", sentence(jobsErr))
		if processesErr != nil {
			o.unknown("The processes could not be looked at either: %v.", processesErr)
		}
	} else if processesErr != nil {
		o.remark("Spiders outside Scrapyd were not looked for: %v.", processesErr)
	}

	processes := table.jobs()
	known := map[int]bool{}
	for _, job := range jobs.Running {
		f := deploytoken.Finding{
			ID:     scrapydID(job.ID),
			What:   cmp.Or(oneLine(job.Spider, maxName), "a spider"),
			Where:  "project " + oneLine(job.Project, maxName),
			Blocks: true,
		}
		i := slices.IndexFunc(processes, func(p process) bool { return job.is(p) })
		var user string
		switch {
		case i >= 0:
			p := processes[i]
			known[p.pid] = true
			user = p.user
			f.Age = p.age
			f.Note = spiderNote(p.args)
		case h.zone != nil:
			f.Age, _ = job.started(c.config.Now(), h.zone)
		case job.StartTime != "":
			f.Note = "started at " + oneLine(job.StartTime, maxName) + " by the server's clock"
		}
		// The account that Scrapyd runs as is nobody's mark, unless configured.
		if f.Owner, f.OwnerID = c.owner(noteAuthor(f.Note), user); f.OwnerID == "" && f.Owner == user {
			f.Owner = ""
		}
		o.add(f)
	}
	for _, job := range jobs.Pending {
		f := deploytoken.Finding{
			ID:    scrapydID(job.ID),
			What:  cmp.Or(oneLine(job.Spider, maxName), "a spider"),
			Where: "project " + oneLine(job.Project, maxName),
			Note:  "about to start",
		}
		if note, ok := job.Args["note"].(string); ok {
			note = command(note, maxName)
			f.Owner, f.OwnerID = c.owner(noteAuthor(note))
			f.Note += "; " + note
		}
		o.add(f)
	}
	for _, p := range processes {
		if known[p.pid] || tmuxToo && table.under(p, process.isTmuxServer) {
			continue
		}
		f := deploytoken.Finding{
			ID:     cmp.Or(scrapydID(scrapydJobOf(p.args)), table.processID(p)),
			What:   command(p.args, maxWhat),
			Where:  "outside Scrapyd, user " + oneLine(p.user, maxName),
			Age:    p.age,
			Note:   spiderNote(p.args),
			Blocks: true,
		}
		if spider, _ := job(p.args); spider != "" {
			f.What = "spider " + command(spider, maxName)
		}
		if jobsErr != nil {
			f.Where = "user " + oneLine(p.user, maxName)
		} else if strings.Contains(p.args, "scrapyd.runner") {
			f.Where = "started by Scrapyd, which does not list it, user " + oneLine(p.user, maxName)
		}
		f.Owner, f.OwnerID = c.owner(noteAuthor(f.Note), p.user)
		o.add(f)
	}
	return o.result()
}

// is whether the job runs as the process. The job's ID is on the command line;
// the process's own ID is of no use where Scrapyd runs in a container.
func (j scrapydJob) is(p process) bool {
	if j.ID != "" && slices.Contains(strings.Fields(p.args), "_job="+j.ID) {
		return true
	}
	spider, ok := job(p.args)
	return ok && j.PID == p.pid && spider == j.Spider
}
