"""SLMTokBench: tokenizers measured under a protocol, each to a row. Imports no torch.

All work is done by other processes, and every piece of it is kept by what it hangs on: what is
known is not measured again, and a second run reads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from slmkit.api import StageError
from slmkit.benchmark.cache import Cache, Outcome, read_outcome
from slmkit.benchmark.candidate import Candidate, part_of
from slmkit.benchmark.coding import FITTED, spec_of
from slmkit.benchmark.crew import Crew, Task, alone, crew
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
JUDGE = "the judge"
"""Among tasks that are named by tokenizers; a name has no space in it."""


@dataclass(frozen=True)
class Request:
    """What is to be measured, how, and where the results go.

    Attributes:
        data: the protocol's name for its own data, or the path of a manifest.
        root: folder of the public corpus, where the protocol names one.
        judge, voices: a person's own instead of the protocol's.
        vocoder: speaks the codes of tokenizers that have no decoder.
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
        subjects = self._prepared(prepared)
        planned = [(s, p) for s in subjects for p in pieces_of(s, self._spec(s))]
        outcomes = self._worked(planned)
        for subject, candidate in self._pairs(subjects):
            mine = [(p, outcomes[s.name, p]) for s, p in planned if s is subject]
            self._row(subject, candidate, prepared, mine)
        return self.report

    def _prepared(self, prepared: Prepared) -> list[Subject]:
        """The tokenizers whose codes could be made, with a judge that is trained where the protocol
        says so and the data has texts."""
        settings, request = self.protocol.judge, self.request
        judge: Chosen | None = request.judge or part_of("transcriber", settings.part)
        assert judge is not None
        subjects = [self._subject(each, prepared) for each in request.candidates]
        new = [subject for subject in subjects if spec_of(subject.codes) is None]
        tasks = {subject.name: code_task(subject, prepared) for subject in new}
        if request.judge is None and settings.trained:
            made = [judge.fingerprint(), asdict(settings), prepared.hash, self.protocol.seeds[0]]
            folder = self.folder / JUDGES / f"{judge.name}-{hash_json(made)}"
            if not is_part(folder):
                # the longest first
                training = judge_task(judge, settings, prepared, self.protocol.seeds[0], folder)
                tasks = {JUDGE: training, **tasks}
            judge = Chosen(judge.shelved, judge.options, folder)
        lost = self._done(tasks)
        if JUDGE in lost:
            judge = None
        return [self._listened(each, judge) for each in subjects if each.name not in lost]

    def _done(self, tasks: Mapping[str, Task]) -> set[str]:
        """Whose task could not be done, for which the report has the reason."""
        names, lost = list(tasks), set()
        with self.watch.progress("training the judge, coding", len(tasks)) as progress:
            answers = self.workers.done(list(tasks.values()))
            for done, (place, answer) in enumerate(answers, start=1):
                name = names[place]
                progress(done, text=name)
                if not isinstance(answer, str):
                    for id, fault in list(answer["faults"].items())[:3]:
                        self.watch.say(f"  {name} left out '{id}': {fault}")
                    continue
                lost.add(name)
                if name == JUDGE:
                    self.report.absent.append(f"wer: the judge cannot be trained: {answer}")
                else:
                    self.report.failed.append(f"{name}: no codes: {answer}")
        return lost

    def _listened(self, subject: Subject, judge: Chosen | None) -> Subject:
        """With those who listen to it."""
        request, hashes = self.request, self.folder / HASHES
        voices = request.voices or part_of("speaker-encoder", self.protocol.voices)
        vocoder = None if subject.decodes else request.vocoder
        some = {"transcriber": judge, "speaker-encoder": voices, "vocoder": vocoder}
        return replace(
            subject,
            listeners={role: each.to_dict() for role, each in some.items() if each is not None},
            judges={
                role: (each.name, each.fingerprint(hashes))
                for role, each in some.items()
                if each is not None
            },
        )

    def _subject(self, candidate: Candidate, prepared: Prepared) -> Subject:
        made = [candidate.fingerprint(self.folder / HASHES), prepared.hash]
        if candidate.chosen.folder is None:
            # it may have to be fitted
            made.append(hash_json(asdict(self.protocol.fit)))
        fingerprint = hash_json(made)
        return Subject(
            name=candidate.name,
            fingerprint=fingerprint,
            codes=self.folder / CODES / f"{candidate.name}-{fingerprint}",
            chosen=candidate.part,
            data=prepared.folder,
            data_hash=prepared.hash,
            subsets=prepared.subsets,
            protocol=self.protocol,
            decodes=candidate.chosen.can.decodes,
        )

    def _worked(self, planned: Sequence[tuple[Subject, Piece]]) -> dict[tuple[str, Piece], Outcome]:
        """The outcome of every piece. What is timed goes last and alone."""
        files = {
            (subject.name, piece): self.cache.file(piece.name, made_of(piece, subject))
            for subject, piece in planned
        }
        known = {file: read_outcome(file) for file in set(files.values())}
        # what hangs on no tokenizer is the same piece for all of them
        left = {
            files[subject.name, piece]: (subject, piece)
            for subject, piece in planned
            if known[files[subject.name, piece]] is None
        }
        if left:
            self.watch.say(f"{len(left)} pieces to measure, {len(known) - len(left)} known")
            known |= self._new(left)
        found = {}
        for key, file in files.items():
            outcome = known[file]
            assert outcome is not None, "every piece is known or new"
            found[key] = outcome
        return found

    def _new(self, left: Mapping[Path, tuple[Subject, Piece]]) -> dict[Path, Outcome]:
        """The outcomes of what is to be done, by the files in which they are kept."""
        found: dict[Path, Outcome] = {}
        timed = [file for file, (_, piece) in left.items() if piece.kind == "cost"]
        others = [file for file in left if file not in timed]
        # the long ones first, so that the processes end together
        others.sort(key=lambda file: -left[file][1].effort)
        tasks = {
            file: partial(work, piece, subject, file) for file, (subject, piece) in left.items()
        }
        clock = _Clock(sum(piece.effort for _, piece in left.values()))
        with self.watch.progress("measuring", len(left)) as progress:
            for place, outcome in self.workers.done([tasks[file] for file in others]):
                file = others[place]
                found[file] = outcome
                progress(len(found), text=clock.after(left[file][1].effort))
            for file in timed:
                found[file] = alone(tasks[file])
                progress(len(found), text=clock.after(left[file][1].effort))
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

    def __init__(self, effort: float) -> None:
        self.left, self.done, self.begun = effort, 0.0, time.monotonic()

    def after(self, effort: float) -> str:
        """In words, when so much more is done."""
        self.left, self.done = self.left - effort, self.done + effort
        pace = (time.monotonic() - self.begun) / self.done
        return f"about {duration(pace * self.left)} left" if self.left > 0 else ""
