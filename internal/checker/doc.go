// Package checker looks for the faults that no single test thinks of: it lets
// many people loose on a team's deploy token while everything around the bot
// goes wrong at random, and then looks in what was recorded for anything lost,
// doubled or said falsely.
//
// Run plays one team: the built program, as one process or several on one
// store, against local servers that stand in for Slack and Google. People take
// and release the token, by command, by button and by form, which they may leave,
// submit twice or submit late; they ask for it and for its status, wait for it and
// take it in and out of turn, give it to each other, accept and decline, release
// it for each other, confirming that at once or much later, and edit the document
// by hand; faults strike, processes are killed. All of it follows from a seed, but for what the scheduling of processes makes
// of it. The History that it returns is what people were told and when, every
// change of the document, the rows of the history, the messages of the
// channel and the direct messages.
//
// Check holds a History to the rules:
//
//   - RuleGuard: each write of the bot is guarded by a revision, and writes a
//     person over Nobody, Nobody over a person, or whoever accepts the token over
//     whoever gave it.
//   - RuleOnce: each write was done for something that its person had asked for
//     and had no answer to yet, and nothing was done twice.
//   - RuleTold: each answer was true of the document at some moment between the
//     asking and the answer, and nobody was told that nothing had come of what
//     the bot had written for them.
//   - RuleOrder: there is an order of all that people were told, and of every
//     edit by hand at the instant that it was made, in which each is true of
//     one register, the token (see Model).
//   - RuleAnswered: each acknowledged command is answered once.
//   - RuleRow: each holding has one row of the history, in order, with what was
//     said when it was taken and released; no other row is there.
//   - RuleAnnounced: each holding's beginning and end is announced once; a
//     hand-over, which is both, in one message.
//   - RuleOffer: the token is handed over only by an offer, to whom it was made, at
//     most once, while the very holding lasts that was offered; who offered it is
//     told that they hold it no more.
//   - RuleForced: another's holding is released only where that very holding was
//     shown and confirmed, once; its holder is told, once.
//   - RuleTurn: who is told that it is their turn waits for it, is told once for
//     each turn, while the document says Nobody, and nobody else has the turn.
//
// Three things give way where nothing else is possible, and nowhere else:
//
//   - Somebody may undo a write together with its mark, by which the bot
//     recognises it, before the bot could know that it had landed. The document
//     then is as it was before, to anyone who reads it: the bot may write again,
//     or tell what the document says now, and a holding that nobody saw leaves
//     no row. The local server tells exactly which marks were erased when.
//   - An answer is doubled where a process or its store ended between delivering
//     it and noting that, or Slack's confirmation was lost: response URLs can't
//     be asked what was said there. A double is allowed only after such a fault,
//     and must say the same.
//   - An announcement is doubled where a replica was so slow that another took it
//     for dead, as its log says, while its post was on its way to Slack; a direct
//     message, which the bot can't look up, as an answer is, too.
//
// When a turn began is told by its end, in whole seconds. Until 5 s before that
// (30 s where the store was out of reach meanwhile) the document must have said
// Nobody: it is read before, and may be changed by hand at any time.
package checker
