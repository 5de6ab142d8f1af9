# An example of the pillar for the state in salt/deploytoken. What is secret goes
# into a pillar of your private repository: see the end.

deploytoken:
  service: deploytoken
  # The release to run, and the digest of its deploytoken_VERSION_linux_amd64.tar.gz, from SHA256SUMS.
  version: 1.0.0
  source: https://github.com/open-contracting/deploytoken/releases/download
  source_hash: sha256=0000000000000000000000000000000000000000000000000000000000000000
  # The bot's bot.yaml.
  config:
    slack:
      channel: C0123456789
    google:
      document: https://docs.google.com/document/d/1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE/edit
      spreadsheet: https://docs.google.com/spreadsheets/d/1ZyXwVuTsRqPoNmLkJiHgFeDcBa9876543210-_ZyXwV/edit
    kingfisher:
      ssh:
        user: kfbusy
    timezone: Etc/UTC
  # The Kingfisher server's host key, as ssh-keyscan prints it, once you have compared its fingerprint.
  known_hosts: |
    collect.kingfisher.open-contracting.org ssh-ed25519 AAAA…

# On the Kingfisher server, for the state in salt/deploytoken/kingfisher:
#
# kingfisher_busy:
#   # The public key of the bot, without a comment, and where the bot connects from.
#   key: ssh-ed25519 AAAA…
#   from: 192.0.2.10

# In private/pillar. The private key is one for the bot alone, without a passphrase:
#
# deploytoken:
#   secrets:
#     slack-bot-token: xoxb-…
#     slack-app-token: xapp-…
#     scrapyd-username: …
#     scrapyd-password: …
#     google.json: |
#       {"type": "service_account", …}
#     id_ed25519: |
#       -----BEGIN OPENSSH PRIVATE KEY-----
#       …
