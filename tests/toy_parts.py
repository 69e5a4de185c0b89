"""The parts of the toy plugin."""

import json

from slmkit.api import Corpus, TextTokenizer, Tokenizer, Vocoder


class ToyCorpus(Corpus):
    def __init__(self, options):
        self.options = options

    def utterances(self, folder, progress):
        return iter(())


class ToyTokenizer(Tokenizer):
    def __init__(self, options):
        self.options, self.learnt = options, 0

    def encode(self, wav, lengths):
        raise AssertionError("never asked")

    def save(self, folder):
        (folder / "learnt.json").write_text(json.dumps(self.learnt))

    def restore(self, folder):
        self.learnt = json.loads((folder / "learnt.json").read_text())


class ToyText(TextTokenizer):
    size = 1

    def __init__(self, options):
        self.options = options

    def encode(self, text):
        raise AssertionError("never asked")

    def decode(self, ids):
        raise AssertionError("never asked")


class ToyVocoder(Vocoder):
    sample_rate = 16000

    def __init__(self, options, spec):
        self.options, self.spec, self.learnt = options, spec, 0

    def synthesize(self, codes, speaker=None):
        raise AssertionError("never asked")

    save, restore = ToyTokenizer.save, ToyTokenizer.restore
