// Block Kit, as Slack shows it: https://docs.slack.dev/reference/block-kit.
// A new kind of block or element is a new entry in blocks or elements.

import {html, nothing} from './lit/lit-html.js';
import {textObject} from './mrkdwn.js';
import {channelMention, dateElement, follow, groupMention, link, userMention} from './spans.js';
import {confirm} from './confirm.js';
import {field, filled, isField, isGroup} from './fields.js';
import {attempt, post, ui} from './state.js';

// renderBlocks renders the blocks of a message or a view. On says where they
// stand, as the local Slack wants to know it: {channel, ts} or {view}; errors are
// what was refused, by block ID.
export const renderBlocks = (list, on, errors = {}) => list.map((b) => (blocks[b.type] ?? unknown)(b, on, errors[b.block_id]));

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
  image: (b) => html`<p class="context">${b.title?.text ?? ''} [${b.alt_text}]</p>`,
  markdown: (b) => html`<div class="rich"><p>${b.text}</p></div>`,
  input: (b, on, refusal) => {
    const id = controlID(b.element, b);
    const label = html`${b.label.text}${b.optional ? html` <span class="optional">(optional)</span>` : nothing}`;
    const described = [b.hint && `${id}-hint`, refusal && `${id}-refusal`].filter(Boolean).join(' ');
    return html`
      <div class="input ${refusal ? 'refused' : ''}">
        ${isGroup(b.element.type) ? html`<p class="label" id="${id}-label">${label}</p>` : html`<label class="label" for=${id}>${label}</label>`}
        ${element(b.element, b, on, {id, labelledby: `${id}-label`, describedby: described || undefined, refused: !!refusal, required: !b.optional})}
        ${refusal ? html`<p class="refusal" id="${id}-refusal">${refusal}</p>` : nothing}
        ${b.hint ? html`<p class="hint" id="${id}-hint">${b.hint.text}</p>` : nothing}
      </div>`;
  },
};

// controlID is the ID that the control of an element has on the page.
export const controlID = (e, block) => `field-${block.block_id}-${e.action_id}`.replace(/\s/g, '_');

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

// element renders what a person can act on. About is how a field is described;
// one that nothing on the page describes is named by its placeholder.
function element(e, block, on, about) {
  const act = async (what, more) => {
    if (e.confirm && !await confirm(e.confirm)) return false;
    await filled();
    await attempt(() => post(`slack/${what}`, {user: ui.me, ...on, action_id: e.action_id, block_id: block.block_id, ...more}));
    return true;
  };
  if (isField(e.type)) {
    about ??= {id: controlID(e, block), label: e.placeholder?.text ?? block.text?.text ?? 'Choose'};
    return field(e, block, on, about, (values) => act('select', {values}));
  }
  return (elements[e.type] ?? unknown)(e, act);
}

const elements = {
  button: (e, act) => html`
    <button type="button" class="button ${e.style ?? ''}" aria-label=${e.accessibility_label ?? nothing}
      @click=${() => { act('click', {value: e.value}); if (e.url) follow(e.url); }}>${e.text.text}</button>`,
  overflow: (e, act) => {
    const choose = (event, o) => {
      event.target.closest('details').open = false;
      act('select', {values: [o.value]});
      if (o.url) follow(o.url);
    };
    const leave = (event) => { if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false; };
    const escape = (event) => {
      if (event.key !== 'Escape' || !event.currentTarget.open) return;
      event.currentTarget.open = false;
      event.currentTarget.querySelector('summary').focus();
      event.stopPropagation();
    };
    return html`
      <details class="overflow" @focusout=${leave} @keydown=${escape}>
        <summary aria-label="More actions">⋯</summary>
        <ul>${e.options.map((o) => html`<li><button type="button" @click=${(event) => choose(event, o)}>${o.text.text}</button></li>`)}</ul>
      </details>`;
  },
};
