// The dialog that asks before something is done.

import {html, render} from './lit/lit-html.js';
import {textObject} from './mrkdwn.js';

// confirm shows the confirmation of a button, as Block Kit has it, and returns
// a promise of whether the person agreed.
export function confirm(c) {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'confirm-title');
  render(html`
    <h2 id="confirm-title">${c.title.text}</h2>
    ${textObject(c.text)}
    <div class="actions">
      <button type="button" class="button" @click=${() => dialog.close('')}>${c.deny.text}</button>
      <button type="button" class="button ${c.style ?? 'primary'}" @click=${() => dialog.close('yes')}>${c.confirm.text}</button>
    </div>`, dialog);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener('close', () => {
    dialog.remove();
    resolve(dialog.returnValue === 'yes');
  }));
}
