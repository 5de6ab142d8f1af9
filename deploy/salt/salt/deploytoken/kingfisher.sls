# On the Kingfisher server: a key that can do nothing but the busy checks. It is
# what deploy/kingfisher/install.sh does. The script is in the folder files beside
# this file.
{% set user = 'kfbusy' %}
{% set home = '/var/lib/kfbusy' %}
{% set script = '/usr/local/sbin/kingfisher-busy' %}

{{ user }}:
  user.present:
    - system: True
    - usergroup: True
    - home: {{ home }}
    - createhome: False
    - shell: /bin/sh
    # One that nothing matches; sshd may refuse a user who is locked.
    - password: '*'

{{ script }}:
  file.managed:
    - source: salt://deploytoken/files/kingfisher-busy
    - user: root
    - group: root
    - mode: 755

/etc/sudoers.d/kingfisher-busy:
  file.managed:
    - contents: '{{ user }} ALL=(root) NOPASSWD: {{ script }} ""'
    - user: root
    - group: root
    - mode: 440
    - check_cmd: visudo -cqf
    - require:
      - user: {{ user }}
      - file: {{ script }}

# Root's, so that the user can't let another key in.
{{ home }}/.ssh/authorized_keys:
  file.managed:
    - contents: 'restrict,{% if pillar.kingfisher_busy.get('from') %}from="{{ pillar.kingfisher_busy.from }}",{% endif %}command="/usr/bin/sudo -n {{ script }}" {{ pillar.kingfisher_busy.key }}'
    - makedirs: True
    - user: root
    - group: root
    - mode: 644
    - dir_mode: 755
    - require:
      - user: {{ user }}
