// The Deploy token document and the Deploy history spreadsheet.

import {html, nothing} from './lit/lit-html.js';
import {live} from './lit/directives/live.js';
import {attempt, changed, myself, post, shown} from './state.js';
import {timeWithSeconds} from './time.js';

const lines = () => shown.google.document.tabs[0].lines ?? [];
const textOf = (list) => list.map((l) => l.text).join('\n');

let known = '';                   // the text that is shown to whoever types
let revision = 0;                 // of the document, that includes what was typed
let edits = Promise.resolve();    // those on their way, in order

// editing tells whether the document is yet to be seen with what was typed.
const editing = () => shown.google.document.revision < revision;

export function deployToken() {
  const d = shown.google.document;
  if (!editing()) known = textOf(lines());
  return html`
    <section id="document" class="pane file" aria-label="Deploy token document">
      <h2><span class="doc-mark" aria-hidden="true"></span>${d.title}</h2>
      <p class="meta">${lastEdit(d)}</p>
      <div class="paper">
        <div class="mirror" aria-hidden="true">${known.split('\n').map((text) => html`<div class=${holderLine(text)}>${text || '\u200b'}</div>`)}</div>
        <textarea aria-label="The document’s text: type in it as anybody could" spellcheck="false"
          .value=${live(known)} @input=${(e) => typed(e.target.value)}></textarea>
      </div>
      <p class="actions">
        <button type="button" class="button" @click=${() => write(myself().name)}>Write “${myself().name}”</button>
        <button type="button" class="button" @click=${() => write('Nobody')}>Write “Nobody”</button>
      </p>
      <p class="hint">Every key is saved, as in the real document. The bot believes a change once nobody has typed for 5 s.</p>
    </section>`;
}

// holderLine is the class of a line of the document: whether it is the one that
// says who has the token, and whether it is free.
function holderLine(text) {
  const m = /^\s*held by:\s*(.*?)\s*$/i.exec(text);
  return !m ? '' : m[1].toLowerCase() === 'nobody' ? 'holder free' : 'holder';
}

const lastEdit = (f) => f.last_editor.name
  ? html`Last edited by ${f.last_editor.name}, ${timeWithSeconds(new Date(f.modified))}` : 'Not edited yet';

const write = (name) => attempt(() => edit({kind: 'set_holder', text: name}));

const edit = (e) => post('google/edit', {document: shown.google.document.id, who: myself(), edit: e});

// typed saves what became of the text: what was deleted and what was inserted.
function typed(text) {
  const start = lines()[0].start;
  const {at, removed, inserted} = difference(known, text);
  const made = [];
  if (removed) made.push({kind: 'delete', index: start + at, end: start + at + removed});
  if (inserted) made.push({kind: 'insert', index: start + at, text: inserted});
  if (!made.length) return;
  revision = Math.max(revision, shown.google.document.revision) + made.length;
  known = text;
  changed();
  edits = edits.then(() => attempt(async () => {
    try {
      for (const e of made) await edit(e);
    } catch (e) {
      revision = 0; // what was typed is not in the document: show what is
      throw e;
    }
  }));
}

// difference is the one stretch in which two texts differ, in UTF-16 units as
// the document counts, and never with half a character at its ends.
export function difference(before, after) {
  let at = 0;
  while (at < before.length && at < after.length && before[at] === after[at]) at++;
  if (isHigh(before, at - 1)) at--;
  let end = 0;
  while (end < before.length - at && end < after.length - at && before.at(-1 - end) === after.at(-1 - end)) end++;
  if (end && isLow(before, before.length - end)) end--;
  return {at, removed: before.length - at - end, inserted: after.slice(at, after.length - end)};
}

const isHigh = (s, i) => s[i] >= '\ud800' && s[i] <= '\udbff';
const isLow = (s, i) => s[i] >= '\udc00' && s[i] <= '\udfff';

const isTime = (text) => /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text);

export function deployHistory() {
  const s = shown.google.spreadsheet;
  const [head, ...rows] = s.sheets[0].rows ?? [];
  return html`
    <section id="history" class="pane file" aria-label="Deploy history spreadsheet">
      <h2><span class="sheet-mark" aria-hidden="true"></span>${s.title}</h2>
      <p class="meta">${lastEdit(s)}</p>
      <div class="grid" tabindex="0" role="group" aria-label="The rows of the Deploy history">
        ${head ? html`
          <table>
            <thead><tr>${head.map((h) => html`<th scope="col">${h}</th>`)}</tr></thead>
            <tbody>${rows.map((r) => html`<tr>${head.map((_, i) => html`<td class=${isTime(r?.[i]) ? 'time' : nothing}><div>${r?.[i] ?? ''}</div></td>`)}</tr>`)}</tbody>
          </table>
          ${rows.length ? nothing : html`<p class="empty">No entries yet.</p>`}` : html`<p class="empty">Empty. The bot writes a row for each time that someone had the token.</p>`}
      </div>
    </section>`;
}
