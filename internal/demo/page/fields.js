// The elements of Block Kit in which a person enters something, as forms do.
// A new kind of element is a new entry in fields.

import {html, nothing} from './lit/lit-html.js';
import {live} from './lit/directives/live.js';
import {changed, nameOf, post, shown, ui} from './state.js';

const entered = new Map(); // what was entered, by who, where and in which element
let fills = Promise.resolve();

const keyOf = (e, block, on) => JSON.stringify([ui.me, on, block.block_id, e.action_id]);

// valuesOf is what an element holds: a list of texts, of options' values, of IDs.
// What a modal's field begins with counts once: an update leaves it.
export function valuesOf(e, block, on) {
  const key = keyOf(e, block, on);
  if (shown.slack.views.some((v) => v.id === on.view) && block.type === 'input' && !entered.has(key)) entered.set(key, initial(e));
  return entered.get(key) ?? initial(e);
}

function initial(e) {
  const one = e.initial_value ?? e.initial_option?.value ?? e.initial_user ?? e.initial_channel ?? e.initial_conversation
    ?? e.initial_date ?? e.initial_time ?? e.initial_date_time;
  if (one !== undefined) return [String(one)];
  return e.initial_options?.map((o) => o.value) ?? e.initial_users ?? e.initial_channels ?? e.initial_conversations ?? [];
}

// filled is when the local Slack has what was filled in up to now.
export const filled = () => fills;

// isField tells whether a kind of element is one of those here.
export const isField = (type) => type in fields;

// isGroup tells whether an element is several controls, which no label can be for.
export const isGroup = (type) => /^multi_|^checkboxes$|^radio_buttons$/.test(type);

// field renders an element. Select sends what was chosen, and returns whether it
// was; what is filled in where nothing is sent at once, the local Slack is told.
// About says how the element is described: {id, label, labelledby, describedby, refused, required}.
export function field(e, block, on, about, select) {
  const sends = block.type !== 'input' || block.dispatch_action;
  const enter = async (values, send) => {
    const key = keyOf(e, block, on);
    const before = entered.get(key);
    entered.set(key, values);
    changed();
    if (!send) return;
    if (!sends) {
      // What isn't yet what the field takes is said when the form is sent.
      fills = fills.then(() => post('slack/fill', {user: ui.me, ...on, values: {[block.block_id]: values}})).catch(() => {});
    } else if (!await select(values)) {
      before ? entered.set(key, before) : entered.delete(key);
      changed();
    }
  };
  return fields[e.type](e, valuesOf(e, block, on), enter, about);
}

const options = (e) => e.options ?? e.option_groups?.flatMap((g) => g.options) ?? [];
const labelled = (list) => list.map((o) => ({value: o.value, label: o.text.text, more: o.description?.text}));
const people = () => shown.slack.users.filter((u) => !u.bot && !u.deleted).map((u) => ({value: u.id, label: nameOf(u)}));
const places = () => shown.slack.channels.filter((c) => !c.direct && c.members.includes(ui.me)).map((c) => ({value: c.id, label: `# ${c.name}`}));

// menu renders a choice of one.
const menu = (list) => (e, [value], enter, about) => html`
  <select id=${about.id} aria-label=${about.label ?? nothing} aria-describedby=${about.describedby ?? nothing} aria-invalid=${about.refused ? 'true' : nothing}
    ?required=${about.required} @change=${(event) => enter(event.target.value ? [event.target.value] : [], true)}>
    <option value="" ?disabled=${about.required} .selected=${live(!value)}>${e.placeholder?.text ?? 'Choose'}</option>
    ${list(e).map((o) => html`<option value=${o.value} .selected=${live(o.value === value)}>${o.label}</option>`)}
  </select>`;

// choices renders boxes to tick, or buttons of which one is on.
const choices = (list, one = false) => (e, values, enter, about) => html`
  <div class="choices" id=${about.id} role=${one ? 'radiogroup' : 'group'} aria-label=${about.label ?? nothing} aria-labelledby=${about.labelledby ?? nothing} aria-describedby=${about.describedby ?? nothing}>
    ${list(e).map((o) => {
      const on = values.includes(o.value);
      const all = list(e).map((other) => other.value);
      return html`<label><input type=${one ? 'radio' : 'checkbox'} name=${about.id} .checked=${live(on)}
        ?disabled=${!one && !on && values.length >= (e.max_selected_items ?? Infinity)}
        @change=${() => enter(one ? [o.value] : all.filter((v) => (v === o.value ? !on : values.includes(v))), true)}>
        <span>${o.label}${o.more ? html` <span class="more">${o.more}</span>` : nothing}</span></label>`;
    })}
  </div>`;

// line renders a field of the browser's. Slack keeps what it holds in another
// form where to and from say so.
const line = (type, {to = (v) => v, from = (v) => v} = {}) => (e, [value = ''], enter, about) => html`
  <input type=${type} id=${about.id} aria-label=${about.label ?? nothing} aria-describedby=${about.describedby ?? nothing} aria-invalid=${about.refused ? 'true' : nothing}
    ?required=${about.required} autocomplete="off" placeholder=${e.placeholder?.text ?? nothing}
    minlength=${e.min_length ?? nothing} maxlength=${e.max_length ?? nothing} min=${e.min_value ?? nothing} max=${e.max_value ?? nothing}
    step=${type === 'number' && e.is_decimal_allowed ? 'any' : nothing}
    .value=${live(value && to(value))} @input=${(event) => enter(event.target.value ? [from(event.target.value)] : [])}
    @change=${(event) => enter(event.target.value ? [from(event.target.value)] : [], true)}>`;

const area = (e, [value = ''], enter, about) => html`
  <textarea id=${about.id} rows="4" aria-label=${about.label ?? nothing} aria-describedby=${about.describedby ?? nothing} aria-invalid=${about.refused ? 'true' : nothing}
    ?required=${about.required} placeholder=${e.placeholder?.text ?? nothing} minlength=${e.min_length ?? nothing} maxlength=${e.max_length ?? 3000}
    .value=${live(value)} @input=${(event) => enter([event.target.value])} @change=${(event) => enter([event.target.value], true)}></textarea>`;

// A moment is in seconds for Slack, and for the browser in the local time.
const moment = {
  to: (seconds) => {
    const t = new Date(seconds * 1000);
    return new Date(t - t.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  },
  from: (local) => String(new Date(local).getTime() / 1000),
};

const fields = {
  static_select: menu((e) => labelled(options(e))),
  users_select: menu(people),
  conversations_select: menu(places),
  channels_select: menu(places),
  multi_static_select: choices((e) => labelled(options(e))),
  multi_users_select: choices(people),
  multi_conversations_select: choices(places),
  multi_channels_select: choices(places),
  checkboxes: choices((e) => labelled(options(e))),
  radio_buttons: choices((e) => labelled(options(e)), true),
  datepicker: line('date'),
  timepicker: line('time'),
  datetimepicker: line('datetime-local', moment),
  plain_text_input: (e, ...rest) => e.multiline ? area(e, ...rest) : line('text')(e, ...rest),
  url_text_input: line('url'),
  email_text_input: line('email'),
  number_input: line('number'),
};
