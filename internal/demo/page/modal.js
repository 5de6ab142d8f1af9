// Modals, as Slack shows them over itself. The rest of the page stays usable: a
// modal may have become stale by what others did meanwhile.

import {html, nothing} from './lit/lit-html.js';
import {keyed} from './lit/directives/keyed.js';
import {controlID, renderBlocks} from './blocks.js';
import {filled, isGroup, valuesOf} from './fields.js';
import {attempt, changed, post, shown, ui} from './state.js';

// modal is the one on top of those that one has open.
export const modal = () => shown.slack.views.filter((v) => v.user === ui.me).at(-1);

let sending = '';          // the ID of the view that is being sent
let missing = {};          // what must still be filled in: {view, blocks: {ID: why}}

export function renderModal() {
  const v = modal();
  if (!v) return nothing;
  const on = {view: v.id};
  const errors = missing.view === v.id ? missing.blocks : v.errors ?? {};
  const close = () => attempt(() => post('slack/close', {user: ui.me, view: v.id}));
  return keyed(v.id, html`
    <div class="veil" role="dialog" aria-labelledby="modal-title">
      <form class="modal" novalidate
        @submit=${(e) => { e.preventDefault(); submit(v, on); }} @keydown=${(e) => { if (e.key === 'Escape') close(); }}>
        <div class="modal-head"><h2 id="modal-title">${v.title}</h2>
          <button type="button" class="close" aria-label="Close the dialog" @click=${close}>✕</button></div>
        <div class="modal-body" tabindex="-1">${renderBlocks(v.blocks, on, errors)}</div>
        ${v.trouble ? html`<p class="refusal" role="alert">We had some trouble connecting. Try again? (${v.trouble})</p>` : nothing}
        <div class="actions">
          <button type="button" class="button" @click=${close}>${v.close || (v.submit ? 'Cancel' : 'Close')}</button>
          ${v.submit ? html`<button class="button primary" ?disabled=${sending === v.id}>${v.submit}</button>` : nothing}
        </div>
      </form>
    </div>`);
}

async function submit(v, on) {
  if (sending === v.id) return;
  const inputs = v.blocks.filter((b) => b.type === 'input');
  const values = Object.fromEntries(inputs.map((b) => [b.block_id, valuesOf(b.element, b, on)]));
  missing = {view: v.id, blocks: {}};
  for (const b of inputs) {
    const why = amiss(b, values[b.block_id]);
    if (why) missing.blocks[b.block_id] = why;
  }
  changed();
  if (Object.keys(missing.blocks).length) return;
  missing = {};
  sending = v.id;
  await filled();
  await attempt(() => post('slack/submit', {user: ui.me, view: v.id, values}));
  sending = '';
  changed();
}

// amiss is what is wrong with a field before it is sent, if anything is.
function amiss(b, values) {
  if (!b.optional && !values.some(Boolean)) return 'Please complete this required field.';
  const control = document.getElementById(controlID(b.element, b));
  return isGroup(b.element.type) || !control || control.checkValidity() ? '' : control.validationMessage;
}

let was = {};

// settleFocus moves the focus to a modal that has opened, back from one that was
// closed, and to the first field that was refused.
export function settleFocus() {
  const v = modal();
  const refused = v ? JSON.stringify((missing.view === v.id ? missing.blocks : v.errors) ?? {}) : '';
  // Under a modal, nothing of Slack has the focus any more.
  const within = !v && document.activeElement.closest('#slack') ? document.activeElement : was.back;
  const now = {me: ui.me, view: v?.id, refused, back: within};
  const before = was;
  was = now;
  if (before.me !== now.me) return; // whoever one has become, one's hands are where they were
  if (v && before.view !== v.id) {
    (document.querySelector('.modal-body :is(input, select, textarea, button)') ?? document.querySelector('.modal .actions button:last-child')).focus();
  } else if (v && before.refused !== refused) {
    document.querySelector('.modal [aria-invalid=true], .modal .refused input')?.focus();
  } else if (!v && before.view) {
    (now.back?.isConnected ? now.back : document.getElementById('composer'))?.focus();
  }
}
