"""The corpus `manifest`: the utterances that a file lists, their files checked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slmkit.api import AudioError, Corpus, DataError, OptionsError, Progress, Utterance
from slmkit.data.audio import probe, read_utterance
from slmkit.data.manifest import load_manifest

if TYPE_CHECKING:
    from slmkit_corpora.plugin import ManifestOptions

log = logging.getLogger(__name__)


class Manifest(Corpus):
    """Utterances of a lhotse CutSet or of plain rows, with the splits that stand there.

    `on_error="stop"`: the first row whose file is missing, or has a header that cannot be read,
    raises DataError, before anything is done. `on_error="skip"`: every file is read to its end,
    since much damage shows only there; what cannot be used is named, counted, and left out.
    """

    def __init__(self, options: ManifestOptions) -> None:
        if options.on_error not in ("stop", "skip"):
            raise OptionsError(
                [f"corpus 'manifest': on_error is 'stop' or 'skip', not '{options.on_error}'"]
            )
        self.path = Path(options.manifest).expanduser()
        self.skip = options.on_error == "skip"
        self.splits = options.splits

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        listed = load_manifest(self.path, check_files=not self.skip)
        left_out = 0
        for done, utterance in enumerate(listed, start=1):
            try:
                self._check(utterance)
            except AudioError as error:
                if not self.skip:
                    raise DataError(f"{self.path}: utterance '{utterance.id}': {error}") from error
                left_out += 1
                log.warning("%s: left out utterance '%s': %s", self.path, utterance.id, error)
            else:
                yield replace(utterance, split=self.splits.get(utterance.split, utterance.split))
            progress(done, len(listed), "checking audio")
        if left_out:
            log.warning("%s: left out %d of %d utterances", self.path, left_out, len(listed))
        if left_out == len(listed):
            raise DataError(f"{self.path}: none of its {len(listed)} utterances can be used")

    def _check(self, utterance: Utterance) -> None:
        if utterance.audio is None:
            return
        probed = probe(utterance.audio)
        if self.skip:
            read_utterance(utterance, probed.sample_rate)
