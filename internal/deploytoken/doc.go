// Package deploytoken holds the rules of the deploy token: who may take and
// release it, when a holding begins and ends, what the document means, and how
// a write is made that is never lost, doubled or made over a name that nobody
// read. It uses the standard library only, and reaches the world through the
// ports that it declares: Document, History, Directory, BusyChecker, and the
// Ledger, Outbox and Leaser of the store.
//
// # A tour of the program
//
// One person at a time may change the team's servers: the one whose name stands
// after "Held by:" in the Deploy token document. The document is the truth;
// people may edit it by hand at any time. This program answers for it in Slack.
//
// The way of a command, in one direction:
//
//  1. internal/slackapp receives an envelope over Slack's Socket Mode, turns it
//     into a Command, has it recorded (Service.Accept), acknowledges it, and
//     calls Service.Do.
//  2. Do reads the document, and decide, a pure function, says what is to be
//     done. What needs no write ends here, with an Outcome.
//  3. A write is recorded as an Intent, and then sent by internal/gdoc, guarded
//     by the revision that the decision was read at. It leaves a mark in the
//     document by which it is recognised later.
//  4. An answer that doesn't say what happened is settled (Service.settle):
//     the identical write is sent again, as at most one of the two can land.
//  5. One transaction (a Change) closes the intent, begins or ends the Holding,
//     ends the command, and inserts the Effects that tell of it: the answer, the
//     channel's message, the row of the history.
//  6. internal/app drains that outbox, in order for each destination, until each
//     effect is delivered by internal/slackapp or internal/gdoc.
//
// What people have going beside the token itself are matters, small records that
// the ledger keeps whole: a place on the waitlist (Waiter; Service.TakeTurns
// begins and ends turns), the Offer to hand the token over, the Deployment to
// Kingfisher with the Questions that ask the owners of what runs there for their
// consent, the Watch of who wants to be told that it is idle. They change with
// the rest, in the same Change. Before a take for Kingfisher, Do makes the busy
// checks; Service.LookAround makes them again while somebody waits for what they
// find, settles questions, and tells deployers and owners of each other.
//
// Service.Watch looks at the document between commands, and makes Changes of
// what people did by hand. Service.Remind is woken by the schedule.
// Service.Recover takes up what another process left: it is why a command that
// was accepted is answered, and a write that was begun is accounted for,
// whatever dies.
//
// internal/ledger keeps it all in SQLite or PostgreSQL. internal/kingfisher
// looks at what runs on the Kingfisher server. internal/config reads the
// configuration. internal/app wires all of it together for cmd/bot.
//
// Beside the bot itself: internal/doctor tries what it depends on,
// internal/guard runs a command only while somebody holds the token, and
// internal/preflight looks at the deployment repositories. internal/sandbox has
// local servers that speak the protocols of Slack, Google and Kingfisher;
// internal/demo runs the bot against them, with a page in the browser; and
// internal/checker holds what people were told, under faults, to what the
// document held.
package deploytoken
