// Slack, as the person that one is sees it.

import {html, nothing} from './lit/lit-html.js';
import {keyed} from './lit/directives/keyed.js';
import {repeat} from './lit/directives/repeat.js';
import {renderBlocks} from './blocks.js';
import {composer} from './composer.js';
import {guide} from './guide.js';
import {modal, renderModal} from './modal.js';
import {mrkdwn} from './mrkdwn.js';
import {attempt, changed, nameOf, now, post, shown, ui, user} from './state.js';
import {dayOf, relativeDay, sameDay, timeOfDay} from './time.js';

const channels = () => shown.slack.channels;
const isApp = (id) => id === shown.slack.app.user_id;

// visible are the messages of a channel that a person sees.
const visible = (c, id) => (c.messages ?? []).filter((m) => !m.ephemeral_to || m.ephemeral_to === id);

// direct is a person's direct message with the app, if there is one yet.
const direct = (id) => channels().find((c) => c.direct === id);

// place is the channel that one looks at. One that was just opened may be yet to
// be streamed.
export const place = () => channels().find((c) => c.id === ui.places[ui.me]) ?? channels().find((c) => c.id === shown.demo.channel);

// go looks at a channel.
function go(id) {
  ui.places[ui.me] = id;
  ui.thread = null;
  changed();
}

async function openDirect() {
  const {channel} = await attempt(() => post('slack/direct', {user: ui.me})) ?? {};
  if (channel) go(channel);
}

// atHome tells whether one looks at the app's Home tab.
const atHome = () => !!place().direct && !!ui.home[ui.me];

function openTab(home) {
  ui.home[ui.me] = home;
  ui.thread = null;
  changed();
  if (home) attempt(() => post('slack/home', {user: ui.me}));
}

// become makes one another person.
export function become(id) {
  ui.me = id;
  ui.thread = null;
  changed();
}

// read is the ts of the last message that each person has seen of a channel.
const read = new Map();
let began = '';

const key = (person, channel) => `${person} ${channel.id}`;
const last = (c) => c.messages?.at(-1)?.ts ?? '0';

// markRead notes that one has seen what one looks at. What there was before the
// page was opened, everybody has seen.
export function markRead() {
  began ||= channels().map(last).sort().at(-1);
  if (atHome()) return;
  read.set(key(ui.me, place()), last(place()));
}

const unread = (person, c) => visible(c, person).filter((m) => m.user !== person && m.ts > (read.get(key(person, c)) ?? began));

// waiting is how many unread messages are meant for a person by themselves.
export const waiting = (person) => channels()
  .filter((c) => c.members.includes(person))
  .flatMap((c) => unread(person, c).filter((m) => c.direct || m.ephemeral_to || m.text.includes(`<@${person}>`)))
  .length;

export function slack() {
  const c = place();
  const covered = !!modal();
  return html`
    <section id="slack" class="pane slack" aria-label="Slack, as ${user(ui.me).real_name}">
      ${sidebar(c, covered)}
      <div class="conversation" ?inert=${covered}>
        <h2>${c.direct ? html`<span class="app-mark" aria-hidden="true"></span>${nameOf(user(shown.slack.app.user_id))}` : `# ${c.name}`}</h2>
        ${c.direct ? tabs(c) : nothing}
        ${atHome() ? home() : messages(c, mainList(c), `${ui.me} ${c.id}`, 'Messages')}
        ${guide()}
        ${atHome() ? nothing : composer(c)}
      </div>
      ${ui.thread?.channel === c.id ? thread(c, covered) : nothing}
      ${renderModal()}
    </section>`;
}

function tabs(c) {
  const n = atHome() ? unread(ui.me, c).length : 0;
  const tab = (label, home, more) => html`
    <button type="button" aria-current=${atHome() === home ? 'page' : nothing} @click=${() => openTab(home)}>${label}${more}</button>`;
  return html`
    <nav class="tabs" aria-label="Tabs of ${nameOf(user(shown.slack.app.user_id))}">
      ${tab('Home', true, nothing)}
      ${tab('Messages', false, n ? html` <span class="badge">${n}<span class="hidden"> unread</span></span>` : nothing)}
    </nav>`;
}

// home is the app's Home tab, as the app has published it for the person.
function home() {
  const v = shown.slack.homes.find((v) => v.user === ui.me);
  return keyed(`${ui.me} home`, html`
    <div class="messages home" role="region" aria-label="Home" tabindex="0"><div>
      ${v ? html`<div class="content">${renderBlocks(v.blocks, {view: v.id})}</div>` : html`<p class="empty">The app shows nothing here yet.</p>`}
      ${v?.trouble ? html`<p class="refusal" role="alert">That didn’t work: ${v.trouble}</p>` : nothing}
    </div></div>`);
}

function sidebar(current, covered) {
  const mine = direct(ui.me);
  const item = (c, label, open) => {
    const n = c && (c !== current || atHome()) ? unread(ui.me, c).length : 0;
    return html`
      <li><button type="button" class=${n ? 'unread' : ''} aria-current=${c && c === current ? 'page' : nothing} @click=${open}>
        <span>${label}</span>${n ? html` <span class="badge">${n}<span class="hidden"> unread</span></span>` : nothing}
      </button></li>`;
  };
  return html`
    <nav class="sidebar" aria-label="Channels" ?inert=${covered}>
      <p class="team">${shown.slack.team.name}</p>
      <h2>Channels</h2>
      <ul>${channels().filter((c) => !c.direct && c.members.includes(ui.me)).map((c) => item(c, `# ${c.name}`, () => go(c.id)))}</ul>
      <h2>Direct messages</h2>
      <ul>${item(mine, nameOf(user(shown.slack.app.user_id)), mine ? () => go(mine.id) : openDirect)}</ul>
    </nav>`;
}

const mainList = (c) => visible(c, ui.me).filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.reply_broadcast);
const replies = (c, ts) => visible(c, ui.me).filter((m) => m.thread_ts === ts && m.ts !== ts);

// messages lists messages, with the days between them, from the end. The key
// says which list it is: another one doesn't stay where this one was scrolled to.
function messages(c, list, key, label, inThread = false) {
  const items = list.map((m, i) => {
    const t = new Date(m.at);
    return {m, day: i === 0 || !sameDay(t, new Date(list[i - 1].at)) ? t : null};
  });
  return keyed(key, html`
    <div class="messages" role="log" aria-label=${label} tabindex="0"><div>
      ${list.length ? nothing : html`<p class="empty">Nothing was said here yet.</p>`}
      ${repeat(items, ({m}) => m.ts, ({m, day}) => html`
        ${day && !inThread ? html`<p class="day"><span>${dayName(day)}</span></p>` : nothing}
        ${message(c, m, inThread)}`)}
    </div></div>`);
}

function dayName(t) {
  const word = relativeDay(t, now());
  return word ? word[0].toUpperCase() + word.slice(1) : dayOf(t);
}

function message(c, m, inThread) {
  const author = user(m.user);
  const below = inThread ? [] : replies(c, m.ts);
  const forMe = !m.ephemeral_to && m.text.includes(`<@${ui.me}>`);
  return html`
    <article class="message ${m.ephemeral_to ? 'ephemeral' : ''} ${forMe ? 'for-me' : ''}" aria-label="${nameOf(author)}, ${timeOfDay(new Date(m.at))}">
      ${avatar(author)}
      <div class="said">
        ${m.ephemeral_to ? html`<p class="only">Only visible to you</p>` : nothing}
        <p class="by"><b>${nameOf(author)}</b>${author.bot ? html` <span class="app">APP</span>` : nothing}
          <time datetime=${m.at} title=${new Date(m.at).toLocaleString()}>${timeOfDay(new Date(m.at))}</time></p>
        <div class="content">
          ${m.blocks?.length ? renderBlocks(m.blocks, {channel: c.id, ts: m.ts}) : html`<div class="rich">${mrkdwn(m.text)}</div>`}
          ${m.edited_ts ? html`<span class="edited">(edited)</span>` : nothing}
        </div>
        ${below.length ? html`<button type="button" class="replies" @click=${() => { ui.thread = {channel: c.id, ts: m.ts}; changed(); }}>
          ${below.length} ${below.length === 1 ? 'reply' : 'replies'}</button>` : nothing}
        ${!inThread && !below.length && !m.ephemeral_to ? html`<button type="button" class="reply" aria-label="Reply in a thread to ${nameOf(author)}, ${timeOfDay(new Date(m.at))}"
          @click=${() => { ui.thread = {channel: c.id, ts: m.ts}; changed(); }}>Reply</button>` : nothing}
      </div>
    </article>`;
}

// avatar stands in for a person's picture.
export function avatar(u) {
  const initials = u.real_name.split(' ').map((w) => w[0]).slice(0, 2).join('');
  const people = shown.demo.people.findIndex((p) => p.id === u.id);
  return html`<span class="avatar ${isApp(u.id) ? 'of-app' : u.bot ? 'of-bot' : `of-${people}`}" aria-hidden="true">${isApp(u.id) ? '' : initials}</span>`;
}

function thread(c, covered) {
  const root = visible(c, ui.me).find((m) => m.ts === ui.thread.ts);
  if (!root) return nothing;
  return html`
    <aside class="thread" aria-label="Thread" ?inert=${covered}>
      <h2>Thread <button type="button" class="close" aria-label="Close the thread" @click=${() => { ui.thread = null; changed(); }}>✕</button></h2>
      ${messages(c, [root, ...replies(c, root.ts)], `${ui.me} ${root.ts}`, 'Replies', true)}
      ${composer(c, root.ts)}
    </aside>`;
}
