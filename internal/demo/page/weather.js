// The clock, the bot's process, and what goes wrong.

import {html, nothing} from './lit/lit-html.js';
import {live} from './lit/directives/live.js';
import {attempt, now, post, shown} from './state.js';
import {dayOf, timeWithSeconds} from './time.js';

const states = {starting: 'is starting', running: 'is running', killed: 'was killed', ended: 'has ended'};

export function weather() {
  const {bot, connected, faults} = shown.world;
  const alive = bot.state === 'running' || bot.state === 'starting';
  const skip = (time, label) => html`<button type="button" class="button" @click=${() => attempt(() => post('clock', {skip: time}))}>${label}</button>`;
  return html`
    <section id="weather" class="pane machine" aria-label="Clock and weather">
      <h2><span class="weather-mark" aria-hidden="true"></span>Clock and weather</h2>
      <p class="clock"><time datetime=${now().toISOString()}>${timeWithSeconds(now())}</time> <span>${dayOf(now())}</span></p>
      <p class="actions">${skip('10m', 'Skip 10 min')} ${skip('1h', 'Skip an hour')} ${skip('24h', 'Skip a day')}</p>
      <p class="hint">Whoever holds the token for an hour or more is reminded on the hour. The demo begins in working hours.</p>

      <h3>The bot</h3>
      <p class="bot" role="status"><span class="light ${bot.state}" aria-hidden="true"></span>It ${states[bot.state]}${
        bot.state === 'running' ? connected ? ' and connected to Slack.' : ', and trying to connect to Slack.' : '.'}</p>
      <p class="actions">
        ${alive
          ? html`<button type="button" class="button danger" @click=${() => attempt(() => post('bot/kill'))}>Kill it</button>`
          : html`<button type="button" class="button primary" @click=${() => attempt(() => post('bot/start'))}>Start it</button>`}
      </p>

      <h3>What goes wrong</h3>
      <ul class="faults">${faults.map((f) => html`
        <li>
          <label class="switch"><input type="checkbox" role="switch" aria-describedby="sees-${f.id}" .checked=${live(f.on)}
            @change=${(e) => attempt(() => post(`faults/${f.id}`, {on: e.target.checked}))}><span>${f.title}</span></label>
          <p class="hint" id="sees-${f.id}">${f.sees}</p>
        </li>`)}</ul>

      <details>
        <summary>The bot’s log</summary>
        <div class="log" tabindex="0" role="group" aria-label="The last lines of the bot’s log">${(shown.log ?? []).map(logLine)}</div>
      </details>
    </section>`;
}

// logLine shows a line of the log, which is JSON but for a program's last words.
function logLine(line) {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    return html`<p>${line}</p>`;
  }
  const {time, level, msg, ...rest} = event;
  return html`<p><time datetime=${time}>${timeWithSeconds(new Date(time))}</time> ${level === 'INFO' ? nothing : html`<b>${level}</b>`} ${msg}
    <span>${Object.entries(rest).map(([k, v]) => `${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`).join(' ')}</span></p>`;
}
