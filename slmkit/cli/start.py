"""What `slmkit` alone says: the five commands to start with."""

START = """\
slmkit is a toolkit for speech language models. Start with:

  slmkit doctor                 what this machine has, and how to mend what it lacks
  slmkit run speechgpt          from sound to a model that answers aloud, without a download
  slmkit list                   every part, and where it comes from
  slmkit show mel-km            one part and its options
  slmkit new plugin my-codec    a part of your own, in a package that works at once

All commands: slmkit --help. What one of them takes: slmkit run --help."""
