"""SLMTokBench: tokenizers measured under a protocol, each to a row. Imports no torch.

All work is done by other processes, and every piece of it is kept by what it hangs on: what is
known is not measured again, and a second run reads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from slmkit.api import StageError
from slmkit.benchmark.cache import Cache, Outcome, read_outcome
from slmkit.benchmark.candidate import Candidate, part_of
from slmkit.benchmark.coding import FITTED, spec_of
from slmkit.benchmark.crew import Crew, alone, crew
from slmkit.benchmark.data import Prepared, prepare
from slmkit.benchmark.pieces import Piece, Subject, made_of, pieces_of
from slmkit.benchmark.preparing import code_task, judge_task
from slmkit.benchmark.protocol import Protocol
from slmkit.benchmark.result import row_of
from slmkit.benchmark.row_file import write_row
from slmkit.benchmark.working import work
from slmkit.data.content import hash_json
from slmkit.host import is_part
from slmkit.recipe.chosen import Chosen
from slmkit.recipe.folder import locked
from slmkit.recipe.watch import Watch, duration

ROWS, DATA, CODES, JUDGES, HASHES = "rows", "data", "codes", "judges", "hashes"


@dataclass(frozen=True)
class Request:
    """What is to be measured, how, and where the results go.

    Attributes:
        data: the protocol's name for its own data, or the path of a manifest.
        root: folder of the public corpus, where the protocol names one.
        judge, voices, vocoder: a person's own instead of the protocol's.
    """

    protocol: Protocol
    candidates: Sequence[Candidate]
    data: str
    output: Path
    jobs: int = 1
    root: Path | None = None
    judge: Chosen | None = None
    voices: Chosen | None = None
    vocoder: Chosen | None = None


@dataclass
class Report:
    """What became of a request: a row for each tokenizer that could code, and what is missing.

    Attributes:
        failed: what went wrong, a line each.
        absent: what these tokenizers or data have not, a line each.
    """

    rows: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def measure(request: Request, watch: Watch) -> Report:
    """Measure every tokenizer as far as it is not measured yet. Raises SlmkitError for what keeps
    all of them from it."""
    with locked(request.output), crew(request.jobs) as workers:
        return _Measuring(request, watch, workers).run()


class _Measuring:
    """One request, its folder locked."""

    def __init__(self, request: Request, watch: Watch, workers: Crew) -> None:
        self.request, self.watch, self.workers = request, watch, workers
        self.protocol, self.folder = request.protocol, request.output
        self.cache = Cache(request.output)
        self.report = Report()

    def run(self) -> Report:
        """Speech, listeners, codes, figures, rows."""
        request = self.request
        with self.watch.progress("choosing the speech", None) as progress:
            prepared = prepare(
                self.protocol, request.data, self.folder / DATA, progress, request.root
            )
        judge, voices = self._listeners(prepared)
        subjects = [self._subject(each, prepared, judge, voices) for each in request.candidates]
        subjects = self._coded(subjects, prepared)
        planned = [(s, p) for s in subjects for p in pieces_of(s, self._spec(s))]
        outcomes = self._worked(planned)
        for subject, candidate in self._pairs(subjects):
            mine = [(p, outcomes[s.name, p]) for s, p in planned if s is subject]
            self._row(subject, candidate, prepared, mine)
        return self.report

    def _listeners(self, prepared: Prepared) -> tuple[Chosen | None, Chosen]:
        """The judge, trained here where the protocol says so and the data has texts, and the
        speaker encoder."""
        settings = self.protocol.judge
        judge = self.request.judge or part_of("transcriber", settings.part)
        voices = self.request.voices or part_of("speaker-encoder", self.protocol.voices)
        if self.request.judge is None and settings.trained:
            made = [judge.fingerprint(), asdict(settings), prepared.hash, self.protocol.seeds[0]]
            folder = self.folder / JUDGES / f"{judge.name}-{hash_json(made)}"
            if not is_part(folder):
                self.watch.say(f"training the judge '{judge.name}'")
                begun = time.monotonic()
                task = judge_task(judge, settings, prepared, self.protocol.seeds[0], folder)
                (reason,) = (reason for _, reason in self.workers.done([task]))
                if reason:
                    self.report.absent.append(f"wer: the judge cannot be trained: {reason}")
                    return None, voices
                self.watch.say(f"trained in {duration(time.monotonic() - begun)}")
            judge = Chosen(judge.shelved, judge.options, folder)
        return judge, voices

    def _subject(
        self, candidate: Candidate, prepared: Prepared, judge: Chosen | None, voices: Chosen
    ) -> Subject:
        hashes = self.folder / HASHES
        made = [candidate.fingerprint(hashes), prepared.hash]
        if candidate.chosen.folder is None:
            # it may have to be fitted
            made.append(hash_json(asdict(self.protocol.fit)))
        fingerprint = hash_json(made)
        vocoder = self.request.vocoder
        listeners = {"transcriber": judge, "speaker-encoder": voices, "vocoder": vocoder}
        return Subject(
            name=candidate.name,
            fingerprint=fingerprint,
            codes=self.folder / CODES / f"{candidate.name}-{fingerprint}",
            chosen=candidate.part,
            data=prepared.folder,
            data_hash=prepared.hash,
            subsets=prepared.subsets,
            protocol=self.protocol,
            judge=None if judge is None else judge.to_dict(),
            voices=voices.to_dict(),
            vocoder=None if vocoder is None else vocoder.to_dict(),
            listeners={r: c.fingerprint(hashes) for r, c in listeners.items() if c is not None},
            decodes=candidate.chosen.can.decodes,
        )

    def _coded(self, subjects: Sequence[Subject], prepared: Prepared) -> list[Subject]:
        """Those whose codes could be made."""
        new = [subject for subject in subjects if spec_of(subject.codes) is None]
        tasks = [code_task(subject, prepared) for subject in new]
        lost = set()
        with self.watch.progress("coding", len(tasks)) as progress:
            for done, (place, answer) in enumerate(self.workers.done(tasks), start=1):
                subject = new[place]
                progress(done, text=subject.name)
                if isinstance(answer, str):
                    lost.add(subject.name)
                    self.report.failed.append(f"{subject.name}: no codes: {answer}")
                    continue
                for id, fault in list(answer["faults"].items())[:3]:
                    self.watch.say(f"  {subject.name} left out '{id}': {fault}")
        return [subject for subject in subjects if subject.name not in lost]

    def _worked(self, planned: Sequence[tuple[Subject, Piece]]) -> dict[tuple[str, Piece], Outcome]:
        """The outcome of every piece. What is timed goes last and alone."""
        found: dict[tuple[str, Piece], Outcome] = {}
        left: list[tuple[Subject, Piece, Path]] = []
        for subject, piece in planned:
            file = self.cache.file(piece.name, made_of(piece, subject))
            known = read_outcome(file)
            if known is not None:
                found[subject.name, piece] = known
            else:
                left.append((subject, piece, file))
        if not left:
            return found
        self.watch.say(f"{len(left)} pieces to measure, {len(found)} known")
        timed = [each for each in left if each[1].kind == "cost"]
        others = [each for each in left if each[1].kind != "cost"]
        # the long ones first, so that the processes end together
        others.sort(key=lambda each: -each[1].effort)
        tasks = [partial(work, piece, subject, file) for subject, piece, file in others]
        with self.watch.progress("measuring", len(left)) as progress:
            clock = _Clock(sum(piece.effort for _, piece, _ in left), self.request.jobs)
            for place, outcome in self.workers.done(tasks):
                subject, piece, _ = others[place]
                found[subject.name, piece] = outcome
                progress(len(found) - (len(planned) - len(left)), text=clock.after(piece.effort))
            for subject, piece, file in timed:
                found[subject.name, piece] = alone(partial(work, piece, subject, file))
                progress(len(found) - (len(planned) - len(left)), text=clock.after(piece.effort))
        return found

    def _row(
        self,
        subject: Subject,
        candidate: Candidate,
        prepared: Prepared,
        outcomes: Sequence[tuple[Piece, Outcome]],
    ) -> None:
        fitted = subject.codes / FITTED
        weights = fitted if is_part(fitted) else candidate.chosen.folder
        row, failed, absent = row_of(
            subject, candidate, prepared, outcomes, weights, self.folder / HASHES
        )
        self.report.rows.append(write_row(row, self.folder / ROWS))
        self.report.failed += [f"{subject.name}: {line}" for line in failed]
        self.report.absent += [f"{subject.name}: {line}" for line in absent]

    def _spec(self, subject: Subject) -> Any:
        spec = spec_of(subject.codes)
        if spec is None:
            raise StageError(f"{subject.codes}: its codes are gone: run the same command again")
        return spec

    def _pairs(self, subjects: Sequence[Subject]) -> list[tuple[Subject, Candidate]]:
        by_name = {candidate.name: candidate for candidate in self.request.candidates}
        return [(subject, by_name[subject.name]) for subject in subjects]


class _Clock:
    """Guesses the time that is left from what was done."""

    def __init__(self, effort: float, jobs: int) -> None:
        self.left, self.done, self.begun = effort, 0.0, time.monotonic()
        self.jobs = jobs

    def after(self, effort: float) -> str:
        """In words, when so much more is done."""
        self.left, self.done = self.left - effort, self.done + effort
        pace = (time.monotonic() - self.begun) / self.done
        return f"about {duration(pace * self.left)} left" if self.left > 0 else ""
