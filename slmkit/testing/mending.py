"""From a broken law to what usually mends it, in a line."""

from __future__ import annotations

ADVICE = (
    ("padding", "cut each row to its length before anything runs over its samples, or mask it"),
    ("in the batch", "let nothing be computed over rows: no mean, norm or maximum over the batch"),
    ("alone", "let no row depend on the others: cut or mask it to its own length, norm it alone"),
    ("saved and restored", "keep what was learnt in buffers and parameters, or override save and "
     "restore"),
    ("restored, it", "keep what was learnt in buffers and parameters"),
    ("AudioError", "begin `encode` with slmkit.codecs.waves.check_waves(wav, lengths), and raise "
     "AudioError for what is left"),
    ("declared rate", "frames follow from `spec.hop_length`: change it, or how many frames are "
     "made"),
    ("the declared ", "the declaration's `can` and the part's `spec` must agree; an options class "
     "may refine `can(self, base)`"),
    ("declared teaches", "set teaches in the declaration's Can as the class is a Teacher or not"),
    ("declared ", "say in the declaration's Can what the part was found to do; an options class "
     "may refine `can(self, base)`"),
    ("a tokenizer that does not stream", "override step, empty_state and finish together, or none"),
    ("a vocoder that does not stream", "override step, empty_state and finish together, or none"),
    ("must raise MisfitError", "leave the method to the contract's own, which raises it"),
    ("raise an error of slmkit.api", "hold codes to the codebook sizes before they index anything"),
    ("codes of another spec", "compare codes.spec with self.spec, and raise MisfitError"),
    ("chunk", "keep in the state every sample and frame that later ones still need"),
    ("from the same state", "never change the state that was given: return a new one"),
    ("clone", "keep nothing of the stream outside the state"),
    ("a copy of the state", "never change the state that was given: return a new one"),
    ("stepwise differs", "let `step` see what `forward` sees: rows stand at places of their own"),
    ("must not see what comes after", "mask attention, and pad convolutions on the left only"),
    ("torch Module", "derive from torch.nn.Module first: class Part(nn.Module, Contract)"),
    ("register them as buffers", "self.register_buffer(name, tensor), persistent=False if derived"),
    ("no gradient reaches", "use the weight in every path that is trained, or freeze it"),
    ("gradient", "pass gradients round the quantizer: straight through, x + (q - x).detach()"),
    ("beyond a row's length", "write zeros where a row has ended: Codes.pad does so for codes"),
    ("lie in their codebook", "codes of codebook k are 0 to spec.codebook_sizes[k] - 1"),
    ("int64", "turn codes into int64 with .long()"),
    ("the same sound gives", "draw nothing at random, or from a generator with a seed of its own"),
    ("each time the same", "draw from random.Random(seed), and sort what the file system lists"),
    ("was written again", "write a file only where it is not there yet"),
    ("has no help", 'give it one: name: int = option(3, "what it does")'),
    ("come back as", "options hold plain values: numbers, text, booleans, lists and dicts of them"),
    ("-1..1", "clamp the wave to -1..1"),
    ("has its hop of samples", "a frame is spec.output_hop_length (or hop_length) samples"),
    ("nothing is heard before", "give from `step` what is certain, or do not override it"),
    ("nothing scores better", "set `direction` to 'lower' or 'higher' as the score goes"),
    ("fits none of", "let `plan` raise MisfitError only for codes that cannot be laid out"),
    ("laid out and read back", "let `read` give what `lay` was given, segment by segment"),
    ("only {ranges} is allowed", "let `allowed` hold every id that `lay` may put there"),
)  # fmt: skip
"""Words of a law, and the advice for those who break it; the first that fits is taken."""


def advice(law: str) -> str:
    """What usually mends a broken law, or nothing where that is as good as the law itself."""
    return next((mend for words, mend in ADVICE if _said(words) in law), "")


def _said(words: str) -> str:
    """The part of a law's words that is there whatever the figures are."""
    return words.partition("{ranges}")[2] or words
