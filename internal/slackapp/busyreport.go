package slackapp

import "github.com/open-contracting/deploytoken/internal/deploytoken"

// busyOptions are what a busy report says beside what was found.
type busyOptions struct {
	// OverrideURL is the address of how to deploy without losing what runs; ""
	// for none.
	OverrideURL string
}

func busyMessage(r deploytoken.BusyReport, pending []string, viewer string, opts busyOptions) Message {
	return Message{Text: "busy " + r.State().String()}
}
