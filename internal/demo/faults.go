package demo

import (
	"fmt"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// A fault is something that goes wrong while it is switched on.
type fault struct {
	id, title string
	// sees is what a person then sees.
	sees string
	// google is what befalls requests to Google, if it is those.
	google *google.Fault
	// slackDown: the app can't connect.
	slackDown bool
	// kills: the bot dies as soon as a request is held by the fault.
	kills bool
}

// faults are in the order of the page. Where several befall a request, Google's
// first does.
var faults = []fault{
	{
		id: "sheets-down", title: "Sheets is down",
		sees:   "Releases go through all the same. The entry is written once Sheets is back; until then, /deploy-token says that it is still to be written.",
		google: &google.Fault{File: spreadsheetID, Kind: google.FailBefore},
	},
	{
		id: "google-slow", title: "Google is slow",
		sees:   "Each request takes 3 s. Slack is content at once; the answer comes when the document has been written.",
		google: &google.Fault{Kind: google.DelayRequest, Delay: 3 * time.Second},
	},
	{
		id: "answer-lost", title: "The answer to the next write is lost",
		sees:   "The document has changed, but the bot can’t know. It finds out before it says anything.",
		google: &google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DropAfter, Count: 1},
	},
	{
		id: "killed-writing", title: "The bot is killed in its next write",
		sees:   "The document has changed, and nobody was told. Start the bot, and it tells: once.",
		google: &google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer, Count: 1},
		kills:  true,
	},
	{
		id: "slack-down", title: "Slack’s connection is down",
		sees:      "Slack says that a command failed, and nothing is done. The bot tries to connect again, less and less often up to every 30 s.",
		slackDown: true,
	},
}

// faultView is a fault as the page shows it.
type faultView struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Sees  string `json:"sees"`
	On    bool   `json:"on"`
}

func (w *world) faultViews() []faultView {
	spent := map[int]bool{}
	for _, f := range w.google.Faults() {
		spent[f.ID] = f.Count > 0 && f.Hits >= f.Count && f.Waiting == 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	views := make([]faultView, 0, len(faults))
	for _, f := range faults {
		id, on := w.faults[f.id]
		views = append(views, faultView{f.id, f.title, f.sees, on && !spent[id]})
	}
	return views
}

// setFault switches a fault on or off.
func (w *world) setFault(id string, on bool) error {
	defer w.notify()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range faults {
		if f.id != id {
			continue
		}
		// What was on is first switched off: it may be used up.
		if was, ok := w.faults[id]; ok {
			delete(w.faults, id)
			if f.google != nil {
				w.google.RemoveFault(was)
			} else {
				w.slack.ClearFaults()
			}
		}
		if !on {
			return nil
		}
		var err error
		if w.faults[id], err = w.begin(f); err != nil {
			delete(w.faults, id)
		}
		return err
	}
	return fmt.Errorf("there is no fault %q", id)
}

// begin makes things go wrong, and returns Google's ID of the fault.
func (w *world) begin(f fault) (int, error) {
	if f.slackDown {
		err := w.slack.AddFault(slack.Fault{Method: "apps.connections.open", Kind: slack.FaultDropped})
		w.slack.Cut()
		return 0, err
	}
	id, err := w.google.AddFault(*f.google)
	if err == nil && f.kills {
		w.wg.Go(func() { w.killWhenHeld(id) })
	}
	return id, err
}

// killWhenHeld kills the bot once a request of its is held by the fault, and
// then lets go of the request. It ends also when the fault is switched off.
func (w *world) killWhenHeld(id int) {
	held := false
	err := w.google.WaitFor(w.ctx, func() bool {
		for _, f := range w.google.Faults() {
			if f.ID == id {
				held = f.Waiting > 0
				return held
			}
		}
		return true
	})
	if err != nil || !held {
		return
	}
	_ = w.bot.kill() // it may have died by itself
	w.google.Release(id)
}
