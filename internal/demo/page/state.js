// What the page shows, and how it does something.

// shown is what the demo streams, by section: demo, world, slack, google,
// kingfisher and log, as sections() of world.go has them.
export const shown = {};

// ui is what only this page knows.
export const ui = {
  me: 'U0ANA',      // who one is
  pane: 'slack',    // the one pane that a narrow screen shows
  places: {},       // by person: the ID of the channel that they look at
  home: {},         // by person: whether they look at the app's Home tab
  thread: null,     // {channel, ts} of the open thread
  trouble: '',      // what just could not be done
  connected: true,  // to the demo
};

let render = () => {};
let scheduled = false;

// renderWith says how the page is rendered.
export function renderWith(f) { render = f; }

// changed renders the page anew: once for all that changes at a time, and before
// the next key is typed.
export function changed() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => { scheduled = false; render(); });
}

// post asks the demo to do something, and returns its answer.
export async function post(path, body = {}) {
  const answer = await fetch(path, {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

// attempt does something, and says what went wrong with it.
export async function attempt(doing) {
  try {
    ui.trouble = '';
    return await doing();
  } catch (e) {
    ui.trouble = e instanceof TypeError ? 'The demo doesn’t answer: it may have ended.' : sentence(e.message);
    changed();
  }
}

function sentence(text) {
  text = text.replace(/^local (Slack|Google|Kingfisher): /, '');
  return text.charAt(0).toUpperCase() + text.slice(1) + '.';
}

// now is the time of the demo's clock.
export const now = () => new Date(Date.now() + shown.world.ahead_ms);

// user is somebody of the workspace.
export const user = (id) => shown.slack.users.find((u) => u.id === id);

export const nameOf = (u) => u.display_name || u.real_name || u.name;

// myself is who one is to Google.
export function myself() {
  return {name: user(ui.me).real_name, email: shown.demo.people.find((p) => p.id === ui.me).email};
}
