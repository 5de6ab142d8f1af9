// The pieces of a line that stand for something: people, places, times, links.

import {html} from './lit/lit-html.js';
import {changed, nameOf, now, shown, ui, user} from './state.js';
import {slackDate} from './time.js';

export function userMention(id) {
  const u = user(id);
  return html`<span class="mention ${id === ui.me ? 'me' : ''}">@${u ? nameOf(u) : id}</span>`;
}

export function channelMention(id, label) {
  const c = shown.slack.channels.find((c) => c.id === id);
  return html`<span class="mention">#${c ? c.name : label || id}</span>`;
}

export function groupMention(id, label) {
  const g = shown.slack.usergroups?.find((g) => g.id === id);
  return html`<span class="mention">${g ? '@' + g.handle : label || id}</span>`;
}

export function dateElement(seconds, format, fallback) {
  const t = new Date(seconds * 1000);
  if (isNaN(t)) return fallback ?? '';
  return html`<time datetime=${t.toISOString()} title=${t.toLocaleString()}>${slackDate(seconds, format, now())}</time>`;
}

// link leads to an address, and to the panes of this page where it is the
// document's or the spreadsheet's: those are not at Google. An address of any
// other kind than the web's is text.
export function link(url, label) {
  const text = label || url;
  const pane = paneOf(url);
  if (pane) return html`<a href="#${pane}" @click=${() => { ui.pane = pane; changed(); }}>${text}</a>`;
  if (!isWeb(url)) return text;
  return html`<a href=${url} target="_blank" rel="noopener noreferrer">${text}</a>`;
}

// follow goes where a button leads, as a link would.
export function follow(url) {
  const pane = paneOf(url);
  if (pane) {
    ui.pane = pane;
    changed();
    document.getElementById(pane).scrollIntoView({block: 'nearest'});
  } else if (isWeb(url)) {
    window.open(url, '_blank', 'noopener,noreferrer');
  }
}

const isWeb = (url) => /^https?:\/\//i.test(url);

// paneOf is the pane of this page that an address leads to, if one does.
function paneOf(url) {
  const {document: file, spreadsheet} = shown.google;
  for (const [{id}, pane] of [[file, 'document'], [spreadsheet, 'history']]) {
    if (url.includes(`/${id}/`) || url.endsWith(`/${id}`)) return pane;
  }
  return '';
}
