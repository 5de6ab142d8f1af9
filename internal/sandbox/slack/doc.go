// Package slack is a local Slack: a workspace with one app installed, which real Slack clients take for
// the real thing, and which people use through Go or HTTP. It speaks the Web API, Socket Mode and response
// URLs, enforces Slack's limits, and goes wrong on demand in the ways that Slack does.
//
// The app is pointed at URL()+"/api/" in place of https://slack.com/api/; the WebSocket's address comes
// from apps.connections.open, as ever. The workspace lives in memory and is gone with the Server.
//
// # People
//
// A person types a command (Slash), clicks (Click), chooses in a menu (Select), fills in fields (Fill) and a
// modal (SubmitView, CloseView), opens the Home tab (OpenHome), and writes (PostMessage, Reply). They can only
// do what they could in Slack: the button must be in a message that they see, a required field must be
// filled in. Each call waits, as a person does, until the app has acknowledged, and returns an Invocation;
// what the app does then is seen in the State (Messages, Visible, Views, Home), for which WaitFor waits
// without polling, and of which Subscribe tells.
//
// An ephemeral message is kept in the channel with the one person that sees it. Of the Events API, only
// app_home_opened is sent.
//
// # What Slack does that is easily missed
//
//   - A response URL that came with a slash command always speaks anew: replace_original has nothing to
//     replace. One that came with a button replaces or deletes the message of that button.
//   - The payload of a button in an ephemeral message carries no message.
//   - An update of a modal leaves what its fields hold: an initial value counts only where the block ID or the
//     action ID is new.
//   - Of what is entered in an input block the app is told at once only where it says dispatch_action; else
//     it is in the state of what is sent next.
//   - A private channel that the app isn't in does not exist for it; a public one answers not_in_channel.
//   - chat.update with text and no blocks takes the blocks away, and keeps the metadata unless told.
//   - An acknowledgement counts only over the connection that carried the envelope.
//   - What is sent over a connection between a warning and its end arrives, if the client still reads it. At
//     its end it is sent nothing more, and is closed once what it was sent is acknowledged or has timed out.
//   - A command that no connection took, or that was not acknowledged in time, is not sent again: the person
//     is told so. Only events are.
//
// # Where Slack says nothing
//
// Slack documents neither how it counts the text of a message's blocks for msg_blocks_too_long, nor what
// it answers to a reply in a thread that does not exist: here, see maxBlocksText, and thread_not_found.
//
// # Control over HTTP
//
// Another process does the same under /sandbox/. Requests and answers are JSON; what could not be done is
// answered by status 400 and {"error": "why"}.
//
//	GET  state                  the State; with ?after=SEQ, once something has changed since, or after 30 s
//	GET  events                 the changes from now on, as server-sent events
//	GET  messages?channel=&user=   what everybody, or that user, sees there
//	GET  thread?channel=&ts=    a thread
//	GET  direct?user=           the direct message of that user with the app
//	GET  views?user=            their open modals, the last on top
//	GET  home?user=             their App Home, or null
//	GET  calls                  the app's last 10,000 requests
//	GET  deliveries             the last 10,000 envelopes
//
//	POST slash       {user, channel, command, text}
//	POST click       {user, channel, ts | view | home: true, action_id, block_id, value}
//	POST select      the same and {values: […]}
//	POST fill        {user, channel, ts | view | home: true, values: {block or action ID: […]}}
//	POST submit      {user, view, values: {block or action ID: […]}}
//	POST close       {user, view}
//	POST home        {user}                              opens the Home tab
//	POST message     {user, channel, text, thread_ts}
//	POST direct      {user}                              opens the direct message with the app
//	POST reload      {user}                              loses their ephemeral messages
//	POST user, channel, usergroup                        a User, Channel or UserGroup to add or replace
//
//	POST   faults      {method, kind, count, retry_after: "2s", delay: "500ms", error}
//	DELETE faults
//	POST   token       {token: bot | app, error}         error "" makes it good again
//	POST   scopes      {scopes: […]}
//	POST   rate_limit  {on}
//	POST   duplicates  {count}
//	POST   disconnect  {reason, connections: […]}        no connections: all of them
//	POST   cut         {connections: […]}
//	POST   silence     {on, connections: […]}
package slack
