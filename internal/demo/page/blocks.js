// Block Kit, as Slack shows it: https://docs.slack.dev/reference/block-kit.
// A new kind of block or element is a new entry in blocks or elements.

import {html, nothing} from './lit/lit-html.js';
import {textObject} from './mrkdwn.js';
import {channelMention, dateElement, groupMention, link, userMention} from './spans.js';
import {confirm} from './confirm.js';
import {attempt, nameOf, post, shown, ui} from './state.js';

// renderBlocks renders the blocks of a message or a view. On says where they
// stand, as the local Slack wants to know it: {channel, ts} or {view}.
export const renderBlocks = (list, on) => list.map((b) => (blocks[b.type] ?? unknown)(b, on));

const unknown = (b) => html`<p class="unknown">[A block of the type ${b.type}]</p>`;

const blocks = {
  rich_text: (b) => html`<div class="rich">${b.elements.map((e) => rich[e.type]?.(e))}</div>`,
  section: (b, on) => html`
    <div class="section">
      <div>
        ${b.text ? html`<div class="rich">${textObject(b.text)}</div>` : nothing}
        ${b.fields ? html`<div class="fields">${b.fields.map((f) => html`<div class="rich">${textObject(f)}</div>`)}</div>` : nothing}
      </div>
      ${b.accessory ? element(b.accessory, b, on) : nothing}
    </div>`,
  header: (b) => html`<p class="header">${b.text.text}</p>`,
  context: (b) => html`<div class="context rich">${b.elements.map((e) => e.type === 'image' ? html`<span>${e.alt_text}</span>` : textObject(e))}</div>`,
  divider: () => html`<hr>`,
  actions: (b, on) => html`<div class="actions">${b.elements.map((e) => element(e, b, on))}</div>`,
};

// The parts of a rich text.
const rich = {
  rich_text_section: (e) => html`<p>${spans(e.elements)}</p>`,
  rich_text_preformatted: (e) => html`<pre>${spans(e.elements)}</pre>`,
  rich_text_quote: (e) => html`<blockquote>${spans(e.elements)}</blockquote>`,
  rich_text_list: (e) => {
    const items = e.elements.map((item) => html`<li>${spans(item.elements)}</li>`);
    return e.style === 'ordered' ? html`<ol>${items}</ol>` : html`<ul>${items}</ul>`;
  },
};

const spans = (elements) => elements.map((e) => styled(span(e), e.style ?? {}));

function span(e) {
  switch (e.type) {
    case 'text': return e.text;
    case 'link': return link(e.url, e.text);
    case 'user': return userMention(e.user_id);
    case 'channel': return channelMention(e.channel_id);
    case 'usergroup': return groupMention(e.usergroup_id);
    case 'broadcast': return html`<span class="mention">@${e.range}</span>`;
    case 'date': return dateElement(e.timestamp, e.format, e.fallback);
    case 'emoji': return e.unicode ? String.fromCodePoint(...e.unicode.split('-').map((c) => parseInt(c, 16))) : `:${e.name}:`;
  }
  return e.text ?? '';
}

function styled(content, style) {
  if (style.code) content = html`<code>${content}</code>`;
  if (style.strike) content = html`<s>${content}</s>`;
  if (style.italic) content = html`<em>${content}</em>`;
  if (style.bold) content = html`<strong>${content}</strong>`;
  return content;
}

// element renders what a person can act on.
function element(e, block, on) {
  const act = async (what, more) => {
    if (e.confirm && !await confirm(e.confirm)) return false;
    await attempt(() => post(`slack/${what}`, {user: ui.me, ...on, action_id: e.action_id, block_id: block.block_id, ...more}));
    return true;
  };
  return (elements[e.type] ?? unknown)(e, act);
}

// choose renders a menu of options, [{value, label}].
function choose(e, act, options) {
  const placeholder = e.placeholder?.text ?? 'Choose';
  const initial = e.initial_option?.value ?? e.initial_user ?? '';
  return html`
    <select aria-label=${placeholder} @change=${(event) => act('select', {values: [event.target.value]})}>
      <option value="" disabled ?selected=${!initial}>${placeholder}</option>
      ${options.map((o) => html`<option value=${o.value} ?selected=${o.value === initial}>${o.label}</option>`)}
    </select>`;
}

const labelled = (options) => (options ?? []).map((o) => ({value: o.value, label: o.text.text}));

const elements = {
  button: (e, act) => html`
    <button type="button" class="button ${e.style ?? ''}" aria-label=${e.accessibility_label ?? nothing}
      @click=${() => act('click', {value: e.value})}>${e.text.text}</button>`,
  static_select: (e, act) => choose(e, act, labelled(e.options ?? e.option_groups?.flatMap((g) => g.options))),
  overflow: (e, act) => choose({...e, placeholder: {text: '…'}}, act, labelled(e.options)),
  users_select: (e, act) => choose(e, act, shown.slack.users.filter((u) => !u.bot).map((u) => ({value: u.id, label: nameOf(u)}))),
  datepicker: (e, act) => html`
    <input type="date" aria-label=${e.placeholder?.text ?? 'Date'} .value=${e.initial_date ?? ''}
      @change=${(event) => act('select', {values: [event.target.value]})}>`,
};
