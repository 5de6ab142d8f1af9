// Package checker looks for the faults that no single test thinks of: it lets
// many people loose on a team's deploy token while everything around the bot
// goes wrong at random, and then looks in what was recorded for anything lost,
// doubled or said falsely.
//
// Run plays one team: the built program, as one process or several on one
// store, against local servers that stand in for Slack and Google. People take
// and release the token, by command and by button, ask for it and for its
// status, and edit the document by hand; faults strike, processes are killed.
// All of it follows from a seed, but for what the scheduling of processes makes
// of it. The History that it returns is what people were told and when, every
// change of the document, the rows of the history and the messages of the
// channel.
//
// Check holds a History to the rules:
//
//   - RuleGuard: each write of the bot is guarded by a revision, and writes a
//     person over Nobody or Nobody over a person.
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
//   - RuleAnnounced: each holding's beginning and end is announced once.
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
//     for dead, as its log says, while its post was on its way to Slack.
package checker
