// An app on Slack's own framework, to see that it takes the local Slack for the real one. It is run by
// the Go test TestBolt, which plays the people; it prints "ready" once it is connected.
import bolt from '@slack/bolt';

const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN,
  appToken: process.env.SLACK_APP_TOKEN,
  socketMode: true,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
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
  await ack();
  await client.chat.postMessage({ channel: view.private_metadata, text: `summary: ${text}` });
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({
    user_id: event.user,
    view: { type: 'home', blocks: [{ type: 'section', text: { type: 'mrkdwn', text: `Hello <@${event.user}>` } }] },
  });
});

await app.start();
console.log('ready');

process.on('SIGTERM', async () => {
  await app.stop();
  process.exit(0);
});
