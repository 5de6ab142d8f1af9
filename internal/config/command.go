package config

// A Command is a subcommand of the program, by what it needs of the
// configuration.
type Command int

// The subcommands that read a configuration.
const (
	// Serve and Doctor need everything but Kingfisher, which may be left out.
	Serve Command = iota
	Doctor
	// Busy needs Kingfisher.
	Busy
	// Status and Guard need the document, and no Slack token. Guard makes no
	// use of the store.
	Status
	Guard
	// GuardBusy is Guard with the busy checks: it needs Kingfisher too.
	GuardBusy
	// Audit needs the document's ID, and the store.
	Audit
	// Preflight uses the document and Kingfisher where they are configured.
	Preflight
	// Show shows the configuration: it needs nothing, and reads everything.
	Show
)

// A part of the configuration is what a subcommand needs whole.
type part uint

const (
	slackPart part = 1 << iota
	documentPart
	spreadsheetPart
	kingfisherPart
	storePart
)

// requires tells whether the subcommand can't run without p.
func (c Command) requires(p part) bool {
	switch c {
	case Busy:
		return p&kingfisherPart != 0
	case Status, Guard, Audit:
		return p&documentPart != 0
	case GuardBusy:
		return p&(documentPart|kingfisherPart) != 0
	case Preflight, Show:
		return false
	default:
		return p&(slackPart|documentPart|spreadsheetPart) != 0
	}
}

// uses tells whether the subcommand makes use of p where it is there. The files
// that secrets come from are opened only then: others may not be readable to
// who runs it.
func (c Command) uses(p part) bool {
	switch c {
	case Busy:
		return p&kingfisherPart != 0
	case Status:
		return p&(documentPart|storePart) != 0
	case Guard:
		return p&documentPart != 0
	case GuardBusy:
		return p&(documentPart|kingfisherPart) != 0
	case Audit:
		return p&storePart != 0
	case Preflight:
		return p&(documentPart|kingfisherPart|storePart) != 0
	default:
		return true
	}
}
