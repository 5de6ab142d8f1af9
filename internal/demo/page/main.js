// The page of the demo: it renders what the demo streams. All that it shows is
// put in as text, by lit-html's templates; the content policy allows no other.

import {html, nothing, render} from './lit/lit-html.js';
import {live} from './lit/directives/live.js';
import {deployHistory, deployToken} from './files.js';
import {kingfisher} from './kingfisher.js';
import {settleFocus} from './modal.js';
import {avatar, become, markRead, slack, waiting} from './slack.js';
import {changed, nameOf, renderWith, shown, ui, user} from './state.js';
import {weather} from './weather.js';

const panes = [['slack', 'Slack'], ['document', 'Document'], ['history', 'History'], ['kingfisher', 'Kingfisher'], ['weather', 'Weather']];

const page = () => html`
  <header>
    <h1><img src="icon.svg" alt="" width="28" height="28">deploytoken <span>demo</span></h1>
    <p class="real">Nothing here is real but the bot. Nothing leaves this machine.</p>
    <fieldset>
      <legend>You are</legend>
      ${shown.demo.people.map(person)}
    </fieldset>
  </header>
  <nav class="panes" aria-label="Parts of the demo">
    ${panes.map(([id, label]) => html`<button type="button" aria-current=${ui.pane === id ? 'page' : nothing}
      @click=${() => { ui.pane = id; changed(); }}>${label}</button>`)}
  </nav>
  <main data-pane=${ui.pane}>
    ${slack()}
    <div class="world">
      <div>${deployToken()}${deployHistory()}${kingfisher()}</div>
      <div>${weather()}</div>
    </div>
  </main>
  <div class="trouble" role="alert">${trouble()}</div>`;

function person(p) {
  const u = user(p.id);
  const n = p.id === ui.me ? 0 : waiting(p.id);
  return html`
    <label class="person">
      <input type="radio" name="me" .checked=${live(p.id === ui.me)} @change=${() => become(p.id)}>
      ${avatar(u)}<span class="who"><b>${nameOf(u)}</b> <span>${p.role}</span></span>
      ${n ? html`<span class="badge">${n}<span class="hidden"> unread</span></span>` : nothing}
    </label>`;
}

function trouble() {
  if (!ui.connected) return html`<p>The demo doesn’t answer: it may have ended. Start it again as you did, in the terminal.</p>`;
  if (!ui.trouble) return nothing;
  return html`<p>${ui.trouble} <button type="button" class="close" aria-label="Dismiss" @click=${() => { ui.trouble = ''; changed(); }}>✕</button></p>`;
}

const sections = ['demo', 'world', 'slack', 'google', 'kingfisher', 'log'];

renderWith(() => {
  if (sections.some((s) => !shown[s])) return;
  markRead();
  render(page(), document.body);
  settleFocus();
});

const events = new EventSource('events');
events.onopen = () => { ui.connected = true; changed(); };
events.onmessage = (e) => { Object.assign(shown, JSON.parse(e.data)); changed(); };
events.onerror = () => { ui.connected = false; changed(); };

setInterval(changed, 1000); // the clock, and how long things have been running
