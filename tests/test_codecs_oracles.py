"""The reference codecs load without torchaudio, and code and decode.

Weights are random and nothing is downloaded: what they answer is what our own must answer with the
same weights.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from codec_parity import fill
from slmkit_reference_codecs.speechtokenizer import PUBLISHED

SPEECHTOKENIZER = PUBLISHED | {
    "n_filters": 8,
    "dimension": 32,
    "semantic_dimension": 24,
    "codebook_size": 64,
}


def test_encodec_codes_and_decodes(encodec: ModuleType) -> None:
    torch.manual_seed(0)
    model = encodec.EncodecModel.encodec_model_24khz(pretrained=False)
    wav = torch.randn(2, 1, 24000) / 4
    fill(model, wav)
    model.set_target_bandwidth(6.0)
    with torch.no_grad():
        ((codes, scale),) = model.encode(wav)
        back = model.decode([(codes, scale)])
    assert codes.shape == (2, 8, 75)
    assert scale is None
    assert 0 <= int(codes.min()) <= int(codes.max()) < 1024
    assert len(codes.unique()) > 20
    assert back.shape == wav.shape
    assert back.isfinite().all()


def test_speechtokenizer_codes_and_decodes(speechtokenizer: ModuleType) -> None:
    torch.manual_seed(0)
    model = speechtokenizer.SpeechTokenizer(SPEECHTOKENIZER).eval()
    wav = torch.randn(2, 1, 16000) / 4
    fill(model, wav)
    with torch.no_grad():
        codes = model.encode(wav)
        back = model.decode(codes)
    assert codes.shape == (8, 2, 50)
    assert 0 <= int(codes.min()) <= int(codes.max()) < 64
    assert len(codes.unique()) > 20
    assert back.shape == wav.shape
    assert back.isfinite().all()


@pytest.mark.usefixtures("encodec", "speechtokenizer")
def test_the_stand_in_is_gone_once_they_are_loaded() -> None:
    assert importlib.util.find_spec("torchaudio") is None
    assert "torchaudio" not in sys.modules
    code = (
        "from slmkit_reference_codecs.stand_in import load_reference\n"
        "load_reference('encodec'); load_reference('speechtokenizer')\n"
        "from transformers import EncodecModel, HubertModel\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("encodec")
def test_the_stand_in_says_what_it_is() -> None:
    from encodec.utils import torchaudio

    with pytest.raises(AttributeError, match="load: this is a stand-in for 'torchaudio'"):
        _ = torchaudio.load
