"""The laws, and what `hush` promises besides."""

import torch

from slmkit.host import build


def test_it_keeps_the_laws(slmkit_check_part):
    slmkit_check_part("tokenizer", "hush")


def test_a_falling_tone_is_hummed_back_falling():
    codec = build("tokenizer", "hush")
    seconds = torch.arange(16000) / 16000
    wav = 0.3 * torch.sin(2 * torch.pi * (400 * seconds - 100 * seconds**2))[None]
    codes = codec.encode(wav, torch.tensor([16000]))
    notes = codec.notes[codes.values[0, 0]]
    assert notes[3] > 1.4 * notes[-4]
    again = codec.encode(*codec.decode(codes))
    off = codec.notes[again.values[0, 0]].log2() - notes.log2()
    assert float(off[2:-2].abs().median()) < 0.1
