// An app on Slack's own framework, to see that it takes the local Slack for the real one. It is run by
// the Go test TestBolt, which plays the people; it prints "ready" once it is connected.
import bolt from '@slack/bolt';

const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: true,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});

const option = (value) => ({ text: { type: 'plain_text', text: value }, value });
const servers = [option('docs'), option('registry')];
const told = (text, next) => ({
  type: 'modal',
  callback_id: next,
  title: { type: 'plain_text', text: 'Told' },
  submit: { type: 'plain_text', text: 'Next' },
  blocks: [{ type: 'section', text: { type: 'mrkdwn', text } }],
});

app.command('/bolt', async ({ command, ack, respond }) => {
  await ack({ text: `got ${command.text}` });
  await respond({
    text: 'press it',
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text: 'Press *it*' } },
      { type: 'actions', elements: [{ type: 'button', action_id: 'press', text: { type: 'plain_text', text: 'Press' }, value: 'v1' }] },
    ],
  });
});

app.action('press', async ({ ack, body, action, client, respond }) => {
  await ack();
  await respond({ text: `pressed ${action.value}`, replace_original: true });
  await client.views.open({
    trigger_id: body.trigger_id,
    view: {
      type: 'modal',
      callback_id: 'form',
      private_metadata: body.container.channel_id,
      title: { type: 'plain_text', text: 'Form' },
      submit: { type: 'plain_text', text: 'Send' },
      blocks: [{
        type: 'input',
        block_id: 'summary',
        label: { type: 'plain_text', text: 'Summary' },
        element: { type: 'plain_text_input', action_id: 'text' },
      }, {
        type: 'input',
        block_id: 'where',
        optional: true,
        label: { type: 'plain_text', text: 'Where' },
        element: { type: 'multi_static_select', action_id: 'servers', options: servers, initial_options: servers.slice(0, 1) },
      }],
    },
  });
});

app.view('form', async ({ ack, view, client }) => {
  const text = view.state.values.summary.text.value;
  if (text === 'bad') {
    await ack({ response_action: 'errors', errors: { summary: 'Not that.' } });
    return;
  }
  const chosen = view.state.values.where.servers.selected_options.map((o) => o.value).join(' ');
  await ack({ response_action: 'update', view: told(`updated: ${chosen}`, 'push') });
  await client.chat.postMessage({ channel: view.private_metadata, text: `summary: ${text}` });
});

app.view('push', ({ ack }) => ack({ response_action: 'push', view: told('pushed', 'clear') }));
app.view('clear', ({ ack }) => ack({ response_action: 'clear' }));

app.command('/who', async ({ command, ack, client, respond }) => {
  await ack();
  const { user } = await client.users.info({ user: command.user_id });
  const { usergroups } = await client.usergroups.list();
  const { users } = await client.usergroups.users.list({ usergroup: usergroups[0].id });
  await respond(`${user.tz} ${user.tz_offset} ${usergroups[0].handle} ${users}`);
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({
    user_id: event.user,
    view: {
      type: 'home',
      blocks: [{
        type: 'section',
        text: { type: 'mrkdwn', text: `Hello <@${event.user}>` },
        accessory: { type: 'static_select', action_id: 'home', placeholder: { type: 'plain_text', text: 'Where' }, options: servers },
      }],
    },
  });
});

app.action('home', async ({ ack, action, body, client }) => {
  await ack();
  await client.views.publish({
    user_id: body.user.id,
    hash: body.view.hash,
    view: { type: 'home', blocks: [{ type: 'section', text: { type: 'mrkdwn', text: `chose ${action.selected_option.value}` } }] },
  });
});

await app.start();
console.log('ready');

process.on('SIGTERM', async () => {
  await app.stop();
  process.exit(0);
});
