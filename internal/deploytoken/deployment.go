package deploytoken

import "time"

// A Work is something that somebody runs on Kingfisher and that a deployment
// would interrupt: what is kept of a Finding.
type Work struct {
	// ID is the finding's, or made of what it says.
	ID string `json:"id"`
	// Check is the name of the check that found it.
	Check string `json:"check"`
	// Owner, OwnerID, What, Where and Note are the finding's.
	Owner   string `json:"owner,omitempty"`
	OwnerID string `json:"owner_id,omitempty"`
	What    string `json:"what,omitempty"`
	Where   string `json:"where,omitempty"`
	Note    string `json:"note,omitempty"`
	// Since is when it began, by its age; zero where unknown.
	Since time.Time `json:"since,omitzero"`
	// Ended is when it was seen to have ended; zero while it hasn't been.
	Ended time.Time `json:"ended,omitzero"`
}

// A Deployment is somebody's deployment to Kingfisher, from the wish to take
// the token for it, or to ask for consent, until it is over.
type Deployment struct {
	// ID is that of the command by which it began.
	ID string `json:"id"`
	// PersonID is the Slack user ID of the deployer, called Name.
	PersonID string `json:"person"`
	Name     string `json:"name"`
	// Purpose is what for; "" where it wasn't said.
	Purpose string `json:"purpose,omitempty"`
	// At is when the deployer last asked for something for it before it had the
	// token.
	At time.Time `json:"at"`
	// Takes is whether the deployer wants to take the token for it; false where
	// they only asked for consent.
	Takes bool `json:"takes,omitempty"`
	// OutOfTurn is whether they do so though it is another's turn.
	OutOfTurn bool `json:"out_of_turn,omitempty"`
	// WithoutPostgres is whether PostgreSQL won't restart, so that its findings
	// are left out.
	WithoutPostgres bool `json:"without_postgres,omitempty"`
	// Report is what was found when it was last looked, for it or for others.
	Report BusyReport `json:"report"`
	// Standing says of each owner of what blocks it what they have answered, as
	// of the last change; Unknown are the reasons why there may be more.
	Standing []Standing `json:"standing,omitempty"`
	Unknown  []string   `json:"unknown,omitempty"`
	// Asked is whether consent was asked for. The deployer then has a message
	// that tells of the answers, by the effect with the key Message. Edits counts
	// that and what has brought it up to date.
	Asked   bool   `json:"asked,omitempty"`
	Message string `json:"message,omitempty"`
	Edits   int    `json:"edits,omitempty"`
	// News is what the deployer was last told of the answers in a message of
	// its own, and Told how many such messages there were.
	News ConsentNews `json:"news,omitempty"`
	Told int         `json:"told,omitempty"`
	// Holding is the ID of the holding that the token was taken for it by; ""
	// before that.
	Holding string `json:"holding,omitempty"`
	// Seen are the IDs of what it would have interrupted when that began, or was
	// told of since.
	Seen []string `json:"seen,omitempty"`
	// Warnings counts the messages to the holder about what was started since.
	Warnings int `json:"warnings,omitempty"`
	// Informed are the Slack user IDs of those who were asked or told, and are
	// to be told when it is over. Warned are the destinations of what said that
	// it is under way.
	Informed []string `json:"informed,omitempty"`
	Warned   []string `json:"warned,omitempty"`
	// Ended is when it was over, or was given up.
	Ended time.Time `json:"ended,omitzero"`
}

// Ref implements Matter.
func (d *Deployment) Ref() MatterRef { return MatterRef{MatterDeployment, d.ID} }

// Over implements Matter.
func (d *Deployment) Over() time.Time { return d.Ended }

// ConsentNews is what a deployer is told of the answers.
type ConsentNews string

// What there is to tell of the answers.
const (
	// ConsentGiven: nothing blocks any more, as all have agreed or have ended.
	ConsentGiven ConsentNews = "given"
	// ConsentRefused: somebody asks to wait.
	ConsentRefused ConsentNews = "refused"
	// ConsentLapsed: the time that somebody asked to wait for has passed, or new
	// work has begun: there is somebody to be asked again.
	ConsentLapsed ConsentNews = "lapsed"
)

// A Standing is what one owner of what blocks a deployment has answered.
type Standing struct {
	// OwnerID is the Slack user ID of the owner, called Name; both are "" for
	// those whose owner isn't known, which share one standing. Marks are the
	// findings' owners.
	OwnerID string   `json:"owner_id,omitempty"`
	Name    string   `json:"name,omitempty"`
	Marks   []string `json:"marks,omitempty"`
	// To are the destinations of what is to be told them.
	To []string `json:"to,omitempty"`
	// Works is what of theirs blocks it.
	Works []Work `json:"works"`
	// Answer is theirs for all of it.
	Answer Answer `json:"answer,omitempty"`
	// By is the name of who answered, where that isn't the owner; several are
	// separated by commas.
	By string `json:"by,omitempty"`
	// Until and Why are of AnswerWait.
	Until time.Time `json:"until,omitzero"`
	Why   string    `json:"why,omitempty"`
}

// An Answer is what an owner says to a question.
type Answer string

// The answers. AnswerWait outweighs AnswerNone, and that AnswerAgreed, where
// one owner has answered several questions.
const (
	// AnswerUnasked: they weren't asked yet, or have to be asked again.
	AnswerUnasked Answer = "unasked"
	// AnswerNone: they were asked.
	AnswerNone Answer = ""
	// AnswerAgreed: go ahead.
	AnswerAgreed Answer = "agreed"
	// AnswerWait: please wait.
	AnswerWait Answer = "wait"
	// AnswerEnded: what they were asked about has ended.
	AnswerEnded Answer = "ended"
	// AnswerOwn: it is the deployer's own.
	AnswerOwn Answer = "own"
)

// A Question asks the owner of some works for their consent. The answer stands
// until all of them have ended or its time has passed, for other deployments
// too.
type Question struct {
	ID string `json:"id"`
	// OwnerID is the Slack user ID of the owner, called Name; both are "" where
	// the owner isn't known, and a group or the channel was asked.
	OwnerID string `json:"owner_id,omitempty"`
	Name    string `json:"name,omitempty"`
	// Asked are the destinations of the messages that ask, as ToPerson and
	// ToChannel give them. Whoever got one may answer, and for a channel any
	// member.
	Asked []string `json:"asked"`
	// Works is what it asks about.
	Works []Work `json:"works"`
	// Deployment is the ID of the deployment that it was asked for, ByID the
	// Slack user ID of the deployer, called By, and Purpose what for.
	Deployment string `json:"deployment"`
	ByID       string `json:"by_id"`
	By         string `json:"by"`
	Purpose    string `json:"purpose,omitempty"`
	// At is when it was asked.
	At time.Time `json:"at"`
	// Answer is AnswerNone, AnswerAgreed or AnswerWait; once the question is
	// settled without one, AnswerEnded. Answerer is the name of who gave it, with
	// the Slack user ID AnswererID, and Answered when.
	Answer     Answer    `json:"answer,omitempty"`
	AnswererID string    `json:"answerer_id,omitempty"`
	Answerer   string    `json:"answerer,omitempty"`
	Answered   time.Time `json:"answered,omitzero"`
	// Until and Why are of AnswerWait.
	Until time.Time `json:"until,omitzero"`
	Why   string    `json:"why,omitempty"`
	// Edits counts how often its messages have been edited.
	Edits int `json:"edits,omitempty"`
	// Settled is when all works had ended, the answer's time had passed, or
	// nobody needed the answer any more.
	Settled time.Time `json:"settled,omitzero"`
}

// Ref implements Matter.
func (q *Question) Ref() MatterRef { return MatterRef{MatterQuestion, q.ID} }

// Over implements Matter.
func (q *Question) Over() time.Time { return q.Settled }

// A Watch is a person's wish to be told once Kingfisher is idle.
type Watch struct {
	ID       string `json:"id"`
	PersonID string `json:"person"`
	// Free is whether the token must be free, too.
	Free bool `json:"free,omitempty"`
	// WithoutPostgres is whether PostgreSQL doesn't matter.
	WithoutPostgres bool `json:"without_postgres,omitempty"`
	// Deployment is the ID of the deployment that it is for; "" for none.
	Deployment string `json:"deployment,omitempty"`
	// At is when it began, and Until when it ends by itself.
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// Ended is when it was over, and Result how.
	Ended  time.Time   `json:"ended,omitzero"`
	Result WatchResult `json:"result,omitempty"`
}

// A WatchResult is how a watch ended.
type WatchResult string

// How a watch ends.
const (
	WatchSeen    WatchResult = "seen"    // what was waited for is so
	WatchLapsed  WatchResult = "lapsed"  // its time has passed
	WatchStopped WatchResult = "stopped" // by the person
)

// Ref implements Matter.
func (w *Watch) Ref() MatterRef { return MatterRef{MatterWatch, w.ID} }

// Over implements Matter.
func (w *Watch) Over() time.Time { return w.Ended }
