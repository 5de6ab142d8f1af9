// The Kingfisher server, and what runs on it.

import {html, nothing} from './lit/lit-html.js';
import {live} from './lit/directives/live.js';
import {attempt, now, post, shown} from './state.js';
import {age} from './time.js';

const ask = (path, body) => attempt(() => post(`kingfisher/${path}`, body));

export function kingfisher() {
  const k = shown.kingfisher;
  const down = k.fault === 'unreachable';
  return html`
    <section id="kingfisher" class="pane machine" aria-label="Kingfisher server">
      <h2><span class="server-mark" aria-hidden="true"></span>Kingfisher server</h2>
      <label class="switch"><input type="checkbox" role="switch" .checked=${live(down)}
        @change=${(e) => ask('fault', {fault: e.target.checked ? 'unreachable' : ''})}><span>Unreachable</span></label>
      <p class="hint">Ask <code>/kingfisher busy</code> what a deployment would interrupt. What can’t be looked at is unknown, which is not idle.</p>

      <h3>Scrapyd’s spiders</h3>
      ${list(k.spiders, 'No spider runs.', (s) => html`
        <div><b>${s.name}</b> ${s.note ? html`<span class="note">${s.note}</span>` : nothing}</div>
        <span class="age">${age(new Date(s.started), now())}</span>
        ${stop(`Stop the spider ${s.name}`, 'Stop', () => ask('stop', {id: s.id}))}`)}
      ${form('Start a spider', 'Start', [
        {name: 'name', label: 'Spider', value: 'zambia_portal'},
        {name: 'note', label: 'Note', value: 'Started by CHIDI.'},
      ], (v) => ask('spider', v))}

      <h3>tmux sessions</h3>
      ${list(k.sessions, 'Nobody has a session.', (s) => html`
        <div><b>${s.name}</b> <span class="note">${s.user}</span> ${s.command ? html`<code>${s.command}</code>` : html`<span class="note">idle</span>`}</div>
        <span class="age">${age(new Date(s.command ? s.started : s.opened), now())}</span>
        ${s.command ? stop(`End the command in ${s.name}`, 'End', () => ask('command', {user: s.user, name: s.name, command: ''})) : nothing}
        ${stop(`Close the session ${s.name}`, 'Close', () => ask('close', {user: s.user, name: s.name}))}`)}
      ${form('Open a session', 'Open', [
        {name: 'user', label: 'Unix user', value: 'ocdskfs'},
        {name: 'name', label: 'Session', value: 'co-load-chile'},
        {name: 'command', label: 'Command', value: 'python manage.py load chile', optional: true},
      ], (v) => ask('session', v))}

      <h3>PostgreSQL’s queries</h3>
      ${list(k.queries, 'No query runs.', (q) => html`
        <div><b>${q.user}</b> <span class="note">${q.client}</span> <code>${q.text}</code></div>
        <span class="age">${age(new Date(q.started), now())}</span>
        ${stop(`Cancel the query of ${q.user}`, 'Cancel', () => ask('stop', {id: q.id}))}`)}
      ${form('Start a query', 'Start', [
        {name: 'user', label: 'Database user', value: 'chidi'},
        {name: 'text', label: 'Query', value: 'SELECT * FROM release ORDER BY random()'},
        {name: 'started', label: 'Running for', options: [['0', 'no time yet'], ['30', '30 min'], ['120', '2 h']]},
      ], (v) => ask('query', {...v, started: new Date(now() - v.started * 60000).toISOString()}))}
    </section>`;
}

const list = (items, none, row) => items.length
  ? html`<ul class="running">${items.map((item) => html`<li>${row(item)}</li>`)}</ul>`
  : html`<p class="empty">${none}</p>`;

const stop = (label, word, run) => html`<button type="button" class="button small" aria-label=${label} @click=${run}>${word}</button>`;

// form starts something: fields are its inputs, run gets their values by name.
function form(title, word, fields, run) {
  const submit = (e) => {
    e.preventDefault();
    run(Object.fromEntries(new FormData(e.target)));
  };
  return html`
    <details>
      <summary>${title}</summary>
      <form @submit=${submit}>
        ${fields.map((f) => html`<label><span>${f.label}</span>${f.options
          ? html`<select name=${f.name}>${f.options.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select>`
          : html`<input name=${f.name} value=${f.value} ?required=${!f.optional} autocomplete="off" spellcheck="false">`}</label>`)}
        <button class="button primary">${word}</button>
      </form>
    </details>`;
}
