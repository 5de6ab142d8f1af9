// Times, as people read them in their own zone.

const form = (options) => new Intl.DateTimeFormat(undefined, options);
const clock = form({hour: 'numeric', minute: '2-digit'});
const clockSeconds = form({hour: 'numeric', minute: '2-digit', second: '2-digit'});
const day = form({weekday: 'long', day: 'numeric', month: 'long'});
const forms = {
  date_num: form({year: 'numeric', month: '2-digit', day: '2-digit'}),
  date: form({year: 'numeric', month: 'long', day: 'numeric'}),
  date_short: form({year: 'numeric', month: 'short', day: 'numeric'}),
  date_long: form({weekday: 'long', year: 'numeric', month: 'long', day: 'numeric'}),
  time: clock,
  time_secs: clockSeconds,
};

export const timeOfDay = (t) => clock.format(t);
export const timeWithSeconds = (t) => clockSeconds.format(t);
export const dayOf = (t) => day.format(t);
export const sameDay = (a, b) => a.toDateString() === b.toDateString();

// relativeDay is today, yesterday or tomorrow, where t is that.
export function relativeDay(t, now) {
  for (const [days, word] of [[0, 'today'], [-1, 'yesterday'], [1, 'tomorrow']]) {
    const other = new Date(now);
    other.setDate(other.getDate() + days);
    if (sameDay(t, other)) return word;
  }
  return '';
}

// slackDate formats a time as Slack's {date_short_pretty} {time} and the like;
// https://docs.slack.dev/messaging/formatting-message-text#date-formatting.
export function slackDate(seconds, format, now) {
  const t = new Date(seconds * 1000);
  return format.replace(/\{(\w+?)(_pretty)?\}/g, (token, name, pretty) => {
    if (!forms[name]) return token;
    return (pretty && relativeDay(t, now)) || forms[name].format(t);
  });
}

// age is how long ago something was: 12 min, 2 h 15 min, 3 d.
export function age(since, now) {
  const minutes = Math.max(0, Math.floor((now - since) / 60000));
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}
