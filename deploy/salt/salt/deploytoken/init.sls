# The bot, from a release, under systemd.
{% set entry = pillar.deploytoken %}
{% set release = '/opt/deploytoken/deploytoken_' + entry.version|string + '_linux_amd64' %}

/opt/deploytoken:
  archive.extracted:
    - source: {{ entry.source }}/v{{ entry.version }}/deploytoken_{{ entry.version }}_linux_amd64.tar.gz
    - source_hash: {{ entry.source_hash }}
    - user: root
    - group: root
    - if_missing: {{ release }}

/usr/local/bin/deploytoken:
  file.symlink:
    - target: {{ release }}/deploytoken
    - force: True
    - require:
      - archive: /opt/deploytoken
    - watch_in:
      - service: {{ entry.service }}

/etc/deploytoken:
  file.directory:
    - user: root
    - group: root
    - mode: 755

/etc/deploytoken/bot.yaml:
  file.serialize:
    - dataset: {{ entry.config|json }}
    - serializer: yaml
    - user: root
    - group: root
    - mode: 644
    - require:
      - file: /etc/deploytoken
    - watch_in:
      - service: {{ entry.service }}

/etc/deploytoken/known_hosts:
  file.managed:
    - contents: {{ entry.known_hosts|json }}
    - user: root
    - group: root
    - mode: 644
    - require:
      - file: /etc/deploytoken
    - watch_in:
      - service: {{ entry.service }}

# systemd hands these to the bot, which runs as a user of its own.
/etc/deploytoken/secrets:
  file.directory:
    - user: root
    - group: root
    - mode: 700
    - require:
      - file: /etc/deploytoken

{% for name, content in entry.secrets|dictsort %}
/etc/deploytoken/secrets/{{ name }}:
  file.managed:
    - contents: {{ content|json }}
    - show_changes: False
    - user: root
    - group: root
    - mode: 600
    - require:
      - file: /etc/deploytoken/secrets
    - watch_in:
      - service: {{ entry.service }}
{% endfor %}

/etc/systemd/system/{{ entry.service }}.service:
  file.managed:
    - source: {{ release }}/deploy/deploytoken.service
    - user: root
    - group: root
    - mode: 644
    - require:
      - archive: /opt/deploytoken
    - watch_in:
      - module: {{ entry.service }}-daemon-reload
      - service: {{ entry.service }}

/etc/systemd/system/{{ entry.service }}.service.d/kingfisher.conf:
{% if 'id_ed25519' in entry.secrets %}
  file.managed:
    - source: {{ release }}/deploy/deploytoken.service.d/kingfisher.conf
    - makedirs: True
    - user: root
    - group: root
    - mode: 644
    - require:
      - archive: /opt/deploytoken
{% else %}
  file.absent:
{% endif %}
    - watch_in:
      - module: {{ entry.service }}-daemon-reload
      - service: {{ entry.service }}

{{ entry.service }}-daemon-reload:
  module.wait:
    - name: service.systemctl_reload

{{ entry.service }}:
  service.running:
    - enable: True
    - require:
      - module: {{ entry.service }}-daemon-reload
      - file: /usr/local/bin/deploytoken
