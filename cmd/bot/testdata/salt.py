"""Renders a Salt state with a pillar as Salt does, and prints both as JSON.

    salt.py STATE PILLAR SECRETS
"""

import json
import sys

import jinja2
import yaml


class Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as Salt does."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{key!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


class Pillar(dict):
    def __getattr__(self, name):
        value = self[name]
        return Pillar(value) if isinstance(value, dict) else value


def merge(into, other):
    for key, value in other.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


with open(sys.argv[2], encoding="utf-8") as f:
    pillar = yaml.load(f, Loader)
merge(pillar, json.loads(sys.argv[3]))
environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
environment.filters["json"] = json.dumps
with open(sys.argv[1], encoding="utf-8") as f:
    text = environment.from_string(f.read()).render(pillar=Pillar(pillar))
json.dump({"state": yaml.load(text, Loader), "pillar": pillar}, sys.stdout)
