// Where one types messages and slash commands.

import {html, nothing} from './lit/lit-html.js';
import {live} from './lit/directives/live.js';
import {attempt, changed, nameOf, post, shown, ui, user} from './state.js';

const drafts = new Map();  // what is typed and not sent yet, by where
const sent = new Map();    // what was sent last, by where, for the arrow up
let open = null;           // the list of completions: {key, index}

const keyOf = (c, threadTS) => `${ui.me} ${c.id} ${threadTS ?? ''}`;

// propose puts text where one types, for one to send it.
export function propose(c, text) {
  drafts.set(keyOf(c), text);
  changed();
  document.getElementById('composer').focus();
}

export function composer(c, threadTS) {
  const key = keyOf(c, threadTS);
  const id = threadTS ? 'reply' : 'composer';
  const where = threadTS ? 'Reply in the thread' : c.direct ? `Message ${nameOf(user(shown.slack.app.user_id))}` : `Message #${c.name}`;

  const draft = drafts.get(key) ?? '';
  const {options, first} = completions(draft, !!threadTS);
  const listed = open?.key === key && options.length > 0;
  const index = listed ? open.index ?? first : -1;

  const edit = (text) => { drafts.set(key, text); open = {key}; changed(); };
  const accept = (option) => { edit(option.text); document.getElementById(id).focus(); };
  const submit = () => {
    const text = draft.trim();
    if (!text) return;
    drafts.set(key, '');
    sent.set(key, text);
    open = null;
    changed();
    attempt(() => send(c, threadTS, text));
  };
  const keydown = (e) => {
    if (e.isComposing) return;
    const move = {ArrowDown: 1, ArrowUp: -1}[e.key];
    if (listed && move) {
      open = {key, index: (index + move + options.length) % options.length};
    } else if (e.key === 'ArrowUp' && !draft && sent.has(key)) {
      drafts.set(key, sent.get(key));
    } else if (listed && (e.key === 'Tab' && !e.shiftKey || e.key === 'Enter' && index >= 0)) {
      accept(options[Math.max(index, 0)]);
    } else if (listed && e.key === 'Escape') {
      open = null;
    } else if (e.key === 'Enter') {
      submit();
    } else {
      return;
    }
    e.preventDefault();
    changed();
  };
  return html`
    <div class="composer">
      ${listed ? html`
        <ul class="completions" role="listbox" id="${id}-list" aria-label="Completions">
          ${options.map((o, i) => html`
            <li role="option" id="${id}-${i}" aria-selected=${i === index}
              @mousedown=${(e) => { e.preventDefault(); accept(o); }}><b>${o.label}</b> <span>${o.detail}</span></li>`)}
        </ul>` : nothing}
      <input type="text" id=${id} role="combobox" autocomplete="off" spellcheck="false" enterkeyhint="send"
        aria-label=${where} placeholder=${where} aria-autocomplete="list" aria-expanded=${listed} aria-controls=${listed ? `${id}-list` : nothing}
        aria-activedescendant=${index >= 0 ? `${id}-${index}` : nothing}
        .value=${live(draft)} @input=${(e) => edit(e.target.value)} @keydown=${keydown}
        @focus=${() => { open = {key}; changed(); }} @blur=${() => { open = null; changed(); }}>
      <button type="button" class="send" aria-label="Send" ?disabled=${!draft.trim()} @click=${submit}>
        <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M3 17l15-7L3 3v5.5l9 1.5l-9 1.5z"/></svg></button>
    </div>`;
}

async function send(c, threadTS, text) {
  if (!text.startsWith('/')) {
    return post('slack/message', {user: ui.me, channel: c.id, text, thread_ts: threadTS});
  }
  if (threadTS) throw new Error('Slack takes no slash commands in threads');
  const [, command, rest] = /^(\S+)\s*([^]*)$/.exec(text);
  return post('slack/slash', {user: ui.me, channel: c.id, command, text: rest});
}

// completions are what could be meant by what is typed: a command, what can be
// said to it by its usage hint, or somebody. First is the one that Enter takes;
// -1 where Enter sends what is typed.
function completions(draft, inThread) {
  const typed = draft.toLowerCase();
  let m;
  if (!inThread && /^\/\S*$/.test(draft)) {
    return {first: 0, options: shown.demo.commands
      .filter((c) => c.name.startsWith(typed) && c.name !== typed)
      .map((c) => ({text: `${c.name} `, label: c.name, detail: c.description}))};
  }
  if (!inThread && (m = /^(\/\S+) (\S*)$/.exec(typed))) {
    const command = shown.demo.commands.find((c) => c.name === m[1]);
    return {first: -1, options: (command?.hint.replace(/[[\]]/g, '').split('|') ?? [])
      .map((use) => use.trim().match(/^(\S+) ?(.*)$/))
      .filter(([, word]) => word.startsWith(m[2]) && word !== m[2])
      .map(([, word, rest]) => ({text: `${m[1]} ${word}${rest ? ' ' : ''}`, label: `${m[1]} ${word}`, detail: rest}))};
  }
  if ((m = /(?:^|\s)@([^\s@]*)$/.exec(typed))) {
    const before = draft.slice(0, draft.length - m[1].length);
    return {first: 0, options: shown.slack.users
      .filter((u) => !u.bot && (u.name.startsWith(m[1]) || u.real_name.toLowerCase().startsWith(m[1])))
      .map((u) => ({text: `${before}${u.name} `, label: `@${u.name}`, detail: u.real_name}))};
  }
  return {first: -1, options: []};
}
