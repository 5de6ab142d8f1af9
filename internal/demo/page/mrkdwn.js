// Slack's mrkdwn, the formatting of texts that aren't rich text:
// https://docs.slack.dev/messaging/formatting-message-text. Whatever isn't
// formatting is text, and is rendered as text.

import {html} from './lit/lit-html.js';
import {channelMention, dateElement, groupMention, link, userMention} from './spans.js';

const unescape = (text) => text.replace(/&(lt|gt|amp);/g, (_, name) => ({lt: '<', gt: '>', amp: '&'})[name]);

// mrkdwn renders a text that may have paragraphs, quotes and code in it.
export function mrkdwn(text) {
  return text.split(/```([^]+?)```/).map((part, i) => {
    if (i % 2) return html`<pre>${unescape(part.replace(/^\n|\n$/g, ''))}</pre>`;
    if (!part.trim()) return '';
    return part.split(/((?:^|\n)&gt;[^\n]*(?:\n&gt;[^\n]*)*)/).map((lines, j) => {
      if (j % 2) return html`<blockquote>${inline(lines.replace(/(^|\n)&gt; ?/g, '$1').trimStart())}</blockquote>`;
      return lines.trim() && html`<p>${inline(lines.replace(/^\n|\n$/g, ''))}</p>`;
    });
  });
}

// textObject renders Block Kit's text object.
export const textObject = (t) => t.type === 'mrkdwn' ? mrkdwn(t.text) : html`<p>${t.text}</p>`;

const tokens = /`([^`\n]+)`|<([^<>\n]+)>|(?<=^|[\s\p{P}])([*_~])(?=\S)([^\n]*?\S)\3(?=$|[\s\p{P}])/gu;

// inline renders a text on which bold, code, mentions and so on may be.
function inline(text) {
  const parts = [];
  let at = 0;
  for (const m of text.matchAll(tokens)) {
    parts.push(unescape(text.slice(at, m.index)));
    at = m.index + m[0].length;
    if (m[1]) parts.push(html`<code>${unescape(m[1])}</code>`);
    else if (m[2]) parts.push(bracket(m[2]));
    else if (m[3] === '*') parts.push(html`<strong>${inline(m[4])}</strong>`);
    else if (m[3] === '_') parts.push(html`<em>${inline(m[4])}</em>`);
    else parts.push(html`<s>${inline(m[4])}</s>`);
  }
  parts.push(unescape(text.slice(at)));
  return parts;
}

// bracket renders what stands in <…>: a mention, a date or a link.
function bracket(inner) {
  const [target, label] = inner.split(/\|([^]*)/, 2).map(unescape);
  const date = /^!date\^(\d+)\^([^^]*)/.exec(target);
  if (date) return dateElement(Number(date[1]), date[2], label);
  const group = /^!subteam\^(\w+)/.exec(target);
  if (group) return groupMention(group[1], label);
  switch (target[0]) {
    case '@': return userMention(target.slice(1));
    case '#': return channelMention(target.slice(1), label);
    case '!': return html`<span class="mention">@${target.slice(1)}</span>`;
  }
  return link(target, label);
}
