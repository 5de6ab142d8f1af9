// Package checker looks for the faults that no single test thinks of: it lets
// many people loose on a team's deploy token while everything around the bot
// goes wrong at random, and then looks in what was recorded for anything lost,
// doubled or said falsely.
//
// Run plays one team: the built program, as one process or several on one
// store, against local servers that stand in for Slack and Google. People take
// and release the token and edit the document by hand, faults strike, processes
// are killed. All of it follows from a seed, but for what the scheduling of
// processes makes of it. The History that it returns is what people were told
// and when, every change of the document, the rows of the history and the
// messages of the channel.
//
// Check holds a History to the rules:
//
//   - What people were told is linearizable: there is an order of all that was
//     asked, in which each thing happens between its being asked and answered,
//     the edits by hand exactly when they were made, and each answer is true of
//     the document at that moment (see Model). What was never answered, or was
//     answered by "it was changed meanwhile", may or may not have happened.
//   - Each write of the bot was guarded by a revision, writes a person over
//     Nobody or Nobody over that person, and belongs to one request of that
//     person that was not yet answered; nobody is told that they hold the token
//     without such a write, nor that they don't after one. Where somebody wrote the same by
//     hand meanwhile, or undid a write with its mark, the rule gives way.
//   - Each holding has one row of the history, in order, with what was said when
//     it was taken and released; each is announced once when it begins and
//     once when it is released; each acknowledged command is answered once.
//
// An answer is doubled where a process ended between delivering it and noting
// that: Slack's response URLs can't be asked what was said there. Such a double
// is allowed near a fault that explains it, and must say the same.
package checker
