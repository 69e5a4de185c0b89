"""The embedded corpus: its world, what it holds out, and how it survives being killed."""

from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest
import soundfile

from slmkit.api import DataError, OptionsError
from slmkit.host import build

pytest.importorskip("espeakng_loader")

from slmkit_spoken_qa import studio, world
from slmkit_spoken_qa.corpus import ASSISTANT, HELD_OUT_VOICE, VOICES, SpokenQa
from slmkit_spoken_qa.plugin import SpokenQaOptions
from slmkit_spoken_qa.studio import Take, record, spell_out

SMOKE = {"questions": 60, "dev": 12, "test": 12, "words": 40}


def quiet(done, total=None, text=""):
    """A progress display that shows nothing."""


@pytest.fixture(scope="module")
def plan():
    """Every utterance of the default options, without sound."""
    return [utterance for utterance, _ in SpokenQa(SpokenQaOptions()).plan()]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken-qa")
    return folder, list(build("corpus", "spoken-qa", SMOKE).utterances(folder, quiet))


def of(utterances, role, *splits):
    return [u for u in utterances if u.role == role and u.split in splits]


class TestWorld:
    def test_there_are_enough_questions_and_few_words(self):
        texts = [question.text for question in world.questions()]
        assert len(texts) == len(set(texts)) >= 3000
        assert 120 <= len(world.words()) <= 180
        assert set("".join(texts)) <= set("abcdefghijklmnopqrstuvwxyz ")

    def test_kinds_are_balanced(self):
        counts = Counter(question.topic for question in world.questions())
        assert set(counts) == set(world.TOPICS)
        assert min(counts.values()) >= 0.15 * sum(counts.values())

    def test_an_answer_belongs_to_one_kind(self):
        topics = {}
        for question in world.questions():
            assert topics.setdefault(question.answer, question.topic) == question.topic

    def test_questions_hold_no_letters(self):
        assert all(len(w) > 1 for q in world.questions() for w in q.text.split())

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ("how much is three plus five", "three plus five is eight"),
            ("take four from eleven", "eleven minus four is seven"),
            ("which is smaller nine or two", "two is smaller than nine"),
            ("spell the word rice", "r i c e"),
            ("what is the last letter of lemon", "lemon ends with n"),
            ("name the opposite of cold", "the opposite of cold is hot"),
            ("what color is grass", "grass is green"),
            ("what colors are milk and ink", "white milk and black ink"),
        ],
    )
    def test_answers_are_true(self, question, answer):
        asked = {q.text: q.answer for q in world.questions()}
        assert asked.get(question, answer) == answer
        assert answer in asked.values()

    def test_sums_and_comparisons_hold(self):
        value = {word: number for number, word in enumerate(world.NUMBERS)}
        for question in world.questions():
            words = question.answer.split()
            if question.topic == "arithmetic":
                a, sign, b, _, result = words
                assert value[a] + {"plus": 1, "minus": -1}[sign] * value[b] == value[result]
            elif question.topic == "compare":
                a, _, how, _, b = words
                assert {"larger": value[a] > value[b], "smaller": value[a] < value[b]}[how]
            elif question.topic == "repeat":
                assert question.text.endswith(question.answer)


class TestPlan:
    def test_held_out_questions_and_their_answers_are_not_spoken_in_training(self, plan):
        for role in ("question", "answer"):
            train = {u.text for u in of(plan, role, "train")}
            for split in ("dev", "test", "test-voice"):
                assert train.isdisjoint(u.text for u in of(plan, role, split))
        dev, test = ({u.text for u in of(plan, "question", s)} for s in ("dev", "test"))
        assert dev.isdisjoint(test)
        assert len(test) == 300

    def test_training_questions_are_distinct(self, plan):
        assert len({u.text for u in of(plan, "question", "train")}) == 3000

    def test_every_kind_has_its_share_of_the_held_out_items(self, plan):
        for split in ("dev", "test", "test-voice"):
            topics = Counter(u.topic for u in of(plan, "question", split))
            assert set(topics) == set(world.TOPICS)
            assert min(topics.values()) >= 0.15 * sum(topics.values())

    def test_every_word_of_the_held_out_questions_is_spoken_in_training(self, plan):
        heard = {
            w for u in plan if u.split == "train" and u.speaker != ASSISTANT for w in u.text.split()
        }
        asked = {w for u in of(plan, "question", "dev", "test") for w in u.text.split()}
        assert asked <= heard

    def test_every_word_of_the_held_out_answers_is_spoken_by_the_assistant(self, plan):
        heard = {
            w for u in plan if u.split == "train" and u.speaker == ASSISTANT for w in u.text.split()
        }
        answered = {w for u in of(plan, "answer", "dev", "test") for w in u.text.split()}
        assert answered <= heard

    def test_voices_keep_to_their_splits(self, plan):
        for u in plan:
            if u.split == "world":
                assert u.speaker is None
            elif u.role == "answer":
                assert u.speaker == ASSISTANT
            elif u.split == "test-voice":
                assert u.speaker == HELD_OUT_VOICE
            else:
                assert u.speaker in (VOICES if u.role == "question" else (*VOICES, ASSISTANT))
        assert {u.speaker for u in of(plan, "question", "train")} == set(VOICES)

    def test_answers_name_their_questions(self, plan):
        by_id = {u.id: u for u in plan}
        assert len(by_id) == len(plan)
        asked = {q.text: q.answer for q in world.questions()}
        for u in plan:
            if u.role == "answer":
                question = by_id[u.reply_to]
                assert (question.role, question.split) == ("question", u.split)
                assert asked[question.text] == u.text

    def test_the_whole_world_is_there_as_text(self, plan):
        read = of(plan, "question", "world")
        assert {u.text for u in read} == {q.text for q in world.questions()}

    def test_the_seed_decides_what_is_held_out_and_nothing_else_does(self):
        def held(**options):
            plan = [u for u, _ in SpokenQa(SpokenQaOptions(**options)).plan()]
            return {u.text for u in of(plan, "question", "test")}

        assert held(seed=1) == held(seed=1, words=0, questions=7, voices=2)
        assert held(seed=1) != held(seed=2)

    def test_more_questions_than_the_world_holds_are_asked_again(self):
        plan = SpokenQa(SpokenQaOptions(questions=6000, words=0)).plan()
        train = [u for u, _ in plan if u.role == "question" and u.split == "train"]
        assert len(train) == 6000
        assert len({u.text for u in train}) > 3000


class TestSound:
    def test_times_are_in_order_and_inside_the_audio(self, made):
        for u in made[1]:
            if u.audio is None:
                continue
            assert [w.label for w in u.words] == u.text.split()
            assert u.phones
            for marks in (u.words, u.phones):
                assert all(0 <= m.start < m.end <= u.duration for m in marks)
                assert all(a.end <= b.start + 1e-3 for a, b in pairwise(marks))

    def test_files_are_mono_at_16_khz_loud_and_unclipped(self, made):
        for path in {u.audio for u in made[1] if u.audio}:
            wave, rate = soundfile.read(path, dtype="int16")
            peak = int(np.abs(wave.astype(int)).max())
            assert (rate, wave.ndim) == (16000, 1)
            assert 3000 < peak < 32767
        assert all(
            abs(soundfile.info(u.audio).duration - u.duration) < 1e-6 for u in made[1] if u.audio
        )

    def test_an_answer_is_spoken_once_for_all_who_ask(self, made):
        files = {}
        for u in of(made[1], "answer", "train", "dev", "test", "test-voice"):
            assert files.setdefault(u.text, u.audio) == u.audio

    def test_the_same_options_give_the_same_bytes(self, made, tmp_path):
        folder, first = made
        again = list(build("corpus", "spoken-qa", SMOKE).utterances(tmp_path, quiet))
        assert len(again) == len(first)
        for a, b in zip(first, again, strict=True):
            assert (a.id, a.text, a.words, a.phones, a.duration) == (
                b.id,
                b.text,
                b.words,
                b.phones,
                b.duration,
            )
            if a.audio:
                assert a.audio.relative_to(folder) == b.audio.relative_to(tmp_path)
                assert a.audio.read_bytes() == b.audio.read_bytes()

    def test_a_broken_run_goes_on_where_it_stopped(self, made, tmp_path, monkeypatch):
        whole = made[1]
        corpus = build("corpus", "spoken-qa", SMOKE)
        running = corpus.utterances(tmp_path, quiet)
        begun = list(islice(running, 100))
        running.close()
        spoken = {u.audio for u in begun}
        lost, empty, torn = sorted(spoken)[:3]
        lost.unlink()
        empty.write_bytes(b"")
        torn.write_bytes(torn.read_bytes()[:50])
        torn.with_suffix(".1-2.tmp").write_bytes(b"half a file")
        on_disk = set(tmp_path.rglob("*.flac")) - {lost, empty, torn}

        takes = []
        speak = studio.Espeak.speak
        monkeypatch.setattr(
            studio.Espeak, "speak", lambda self, *take: takes.append(take) or speak(self, *take)
        )
        resumed = list(corpus.utterances(tmp_path, quiet))
        assert len(takes) == len({u.audio for u in resumed if u.audio}) - len(on_disk)
        for a, b in zip(whole, resumed, strict=True):
            if a.audio:
                assert a.audio.read_bytes() == b.audio.read_bytes()
                assert (a.words, a.phones) == (b.words, b.phones)

    def test_progress_ends_at_the_total(self, made):
        folder, whole = made
        seen = []
        corpus = build("corpus", "spoken-qa", SMOKE)
        list(
            corpus.utterances(folder, lambda done, total=None, text="": seen.append((done, total)))
        )
        files = len({u.audio for u in whole if u.audio})
        assert seen == [(n, files) for n in range(1, files + 1)]

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "audio").write_text("in the way")
        with pytest.raises(DataError, match=str(tmp_path)):
            list(record([Take("hot", "en-us", 200, 50)], tmp_path))


def test_letters_are_spoken_by_their_names():
    assert spell_out("b a d") == "b, eigh, d"
    assert spell_out("lemon ends with n") == "lemon ends with n"
    assert spell_out("a hot b") == "eigh hot b"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"voices": 0}, "voices"),
        ({"voices": 99}, "voices"),
        ({"questions": 0}, "questions"),
        ({"test": -1}, "test"),
        ({"test": 2000}, "leave nothing"),
        ({"vioces": 3}, "voices"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_wrong_options_are_refused_by_name(options, named):
    with pytest.raises(OptionsError, match=named):
        build("corpus", "spoken-qa", options)


def test_all_faults_are_told_at_once():
    with pytest.raises(OptionsError) as caught:
        build("corpus", "spoken-qa", {"questions": 0, "voices": 0})
    assert len(caught.value.faults) == 2
