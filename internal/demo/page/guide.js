// The guided first steps, which get out of the way.

import {html, nothing} from './lit/lit-html.js';
import {propose} from './composer.js';
import {become, place} from './slack.js';
import {changed, shown, ui, user} from './state.js';

const holder = () => shown.google.document.holder;
const rows = () => shown.google.spreadsheet.sheets[0].rows ?? [];
const name = (i) => user(shown.demo.people[i].id).display_name;
const is = (i) => ui.me === shown.demo.people[i].id;

// type offers to type something as one of the people.
const type = (i, text) => ({
  label: is(i) ? 'Type it for me' : `Become ${name(i)} and type it`,
  run: () => {
    if (!is(i)) become(shown.demo.people[i].id);
    propose(place(), text);
  },
});

// Each step is over once done says so, or once a later one is.
const steps = [
  {
    done: () => holder() !== 'Nobody' || rows().length > 1,
    text: () => html`You are ${name(0)}, about to change a server. Type <code>/deploy-token take upgrade the registry</code> and press Enter.`,
    action: () => type(0, '/deploy-token take upgrade the registry'),
  },
  {
    done: () => !is(0) && holder() !== 'Nobody',
    text: () => html`The document now names you, and the channel was told. Become ${name(1)}, who wants it too: here, or above, where everybody is.`,
    action: () => ({label: `Become ${name(1)}`, run: () => become(shown.demo.people[1].id)}),
  },
  {
    done: () => shown.slack.channels.some((c) => c.messages?.some((m) => m.ephemeral_to === shown.demo.people[1].id && m.text.includes(holder()))),
    text: () => html`Try <code>/deploy-token take</code> as ${name(1)}.`,
    action: () => type(1, '/deploy-token take'),
  },
  {
    done: () => rows().length > 1,
    text: () => html`The bot said no, and who has it. As ${name(0)} again, release the token and say what was done; then look at the Deploy history.`,
    action: () => type(0, '/deploy-token release upgraded the registry to 3.0'),
  },
  {
    done: () => false,
    text: () => html`That is the heart of it. Try <code>/deploy-token take kingfisher</code> while ${name(2)}’s spider runs, and ask for consent.
      Then be unkind: write a name into the document by hand, skip an hour with the token in your hands, kill the bot in the middle of a release.`,
  },
];

let at = 0;
let dismissed = false;

export function guide() {
  if (dismissed) return nothing;
  steps.forEach((step, i) => { if (i >= at && step.done()) at = i + 1; });
  const step = steps[at];
  const action = step.action?.();
  const over = at === steps.length - 1;
  return html`
    <aside class="guide" aria-label="First steps">
      <p><b>${at + 1} of ${steps.length}</b> ${step.text()}</p>
      <p class="actions">
        ${action ? html`<button type="button" class="button" @click=${action.run}>${action.label}</button>` : nothing}
        <button type="button" class="plain" @click=${() => { dismissed = true; changed(); }}>${over ? 'Close' : 'I’ll find my way'}</button>
      </p>
    </aside>`;
}
