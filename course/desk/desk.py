"""One reader at the desk: which answers are to be read, what is shown of them, and what a keystroke does."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook
from sqlalchemy.exc import SQLAlchemyError

from course.desk import book, marks
from course.desk.likeness import Place, groups
from course.desk.marks import Entry, Mark
from course.desk.questions import Question, questions
from course.grading.gradebook import TO_ANOTHER
from course.markup import prose
from course.model import Course, CourseError
from course.store import LOG, Store

SHARES = {
    "waiting": "what nobody has marked yet",
    "all": "every answer, for a second reading",
    "1/2": "one half of the answers",
    "2/2": "the other half",
}
ANSWER = 20_000  # characters of an answer that are shown
COMMENT = 5_000  # characters of a comment
REUSED = 12  # comments that are offered again


class Desk:
    """What one reader sees and does. Nothing of it is kept here: two desks on one classroom see the same.

    Args:
        course: the checkout.
        gradebook: open.
        reader: the name under which marks are kept.
        share: one of `SHARES`.

    Raises:
        CourseError: for a share that there is not, and a reader without a name.
    """

    def __init__(self, course: Course, gradebook: Gradebook, reader: str, share: str = "waiting"):
        if share not in SHARES:
            raise CourseError(f"there is no share {share!r}; there are: {', '.join(SHARES)}")
        if not reader.strip() or len(reader) > 60 or not reader.isprintable():
            raise CourseError(
                f"{reader!r} is no name for a reader: give one of at most 60 letters, `--as NAME`"
            )
        self.reader, self.share = reader.strip(), share
        self._course, self._gradebook = course, gradebook
        self._store = Store(course.classroom)
        self._known = {
            (question.lesson, question.name): question
            for lesson in course.written
            if course.solution(lesson).is_file()
            for question in questions(course, lesson)
        }
        self._texts: dict[Path, tuple[int, dict[str, str]]] = {}
        self._places: dict[tuple[str, str], tuple[int, dict[str, Place]]] = {}

    @property
    def means(self) -> str:
        """This reader's share in words."""
        return SHARES[self.share]

    def first(self, lesson: str | None = None, name: str | None = None) -> tuple[str, str]:
        """Tell with which question to begin.

        Args:
            lesson: name of the lesson; any if None.
            name: of the question; the lesson's first that has something to read if None.

        Raises:
            CourseError: if there is no such question, or nobody has answered any.
        """
        if lesson and name:
            return (lesson, self.question(lesson, name).name)
        rows = [row for row in self.overview() if lesson in (None, row["lesson"])]
        if not rows:
            where = lesson or str(self._course.classroom)
            raise CourseError(f"{where} holds no answer to an open question: run `course grade` first")
        row = next((row for row in rows if row["read"] < row["of"]), rows[0])
        return (row["lesson"], row["question"])

    def question(self, lesson: str, name: str) -> Question:
        """Find a question.

        Raises:
            CourseError: if there is none of this name.
        """
        try:
            return self._known[lesson, name]
        except KeyError:
            names = ", ".join(other for of, other in self._known if of == lesson)
            raise CourseError(f"{lesson} has no open question {name!r}; it has: {names or 'none'}") from None

    def overview(self) -> list[dict[str, Any]]:
        """All questions that somebody answered, with how many of this reader's share are read."""
        rows = []
        standing = marks.standing(self._course.classroom)
        for question in self._known.values():
            written = self._readable(question)
            if written:
                given = marks.latest(
                    standing, question.lesson, question.name
                )  # no notebook is opened for a list
                share = [s for s in written if self._is_mine(question, s)]
                done = sum(self._is_read(written[s].entry, given.get(s, {})) for s in share)
                lesson = self._course.lesson(question.lesson)
                rows.append(
                    {
                        "lesson": question.lesson,
                        "question": question.name,
                        "title": f"{lesson.number} · {question.title.removeprefix('Question · ')}",
                        "read": done,
                        "of": len(share),
                    }
                )
        return rows

    def sheet(self, lesson: str, name: str) -> dict[str, Any]:
        """All that a reader needs for one question: what is asked, the rubric, the answers and where they stand.

        Args:
            lesson: name of the lesson.
            name: of the question.

        Returns:
            As it is sent to the page; texts are HTML, students are pseudonyms.

        Raises:
            CourseError: if there is no such question.
        """
        question = self.question(lesson, name)
        texts = {student: self._text(question, student) for student in self._readable(question)}
        places = self._placed(question, texts)
        shown = [student for student in places if self._is_mine(question, student)]
        blank = sum(
            written.by_itself for written in book.read(self._gradebook, lesson, question.grade_id).values()
        )
        keys = question.keys()
        return {
            "lesson": lesson,
            "question": name,
            "title": question.title,
            "course_title": self._course.lesson(lesson).title,
            "points": question.points,
            "text": prose(question.text),
            "levels": [
                {"points": level.points, "text": prose(level.text), "key": key}
                for level, key in zip(question.levels, keys, strict=True)
            ],
            "notes": prose(question.notes),
            "sample": prose(question.sample),
            "blank": blank,
            "reader": self.reader,
            "share": self.share,
            "share_means": self.means,
            "answers": [
                {
                    "id": pseudonym(question, student),
                    "digest": _digest_of(texts[student]),
                    "text": prose(texts[student][:ANSWER]),
                    "cut": len(texts[student]) > ANSWER,
                    "words": len(texts[student].split()),
                    "group": places[student].group,
                    "same": places[student].same,
                    "percent": places[student].percent,
                }
                for student in shown
            ],
            "state": self.state(lesson, name),
        }

    def state(self, lesson: str, name: str) -> dict[str, Any]:
        """Where all answers of a question stand, for this reader: what changes while people read.

        Of another reader's marks nothing is told before this one has read the answer too, where the share is `all`.
        """
        question = self.question(lesson, name)
        written = self._readable(question)
        standing = marks.standing(self._course.classroom)
        digests = {student: _digest_of(self._text(question, student)) for student in written}
        given = marks.latest(standing, lesson, name, digests)
        ever = marks.by_student(standing, lesson, name)
        share = [student for student in written if self._is_mine(question, student)]
        rows = {}
        for student in share:
            entry, by_reader = written[student].entry, given.get(student, {})
            mine = by_reader.get(self.reader)
            told = self.share != "all" or mine is not None
            lost = _lost(entry, by_reader) if told else None
            rows[pseudonym(question, student)] = {
                "digest": digests[student],
                "read": self._is_read(entry, by_reader),
                "mine": None if mine is None else {"score": mine.score, "comment": mine.comment},
                "score": entry.score if told else None,
                "comment": (entry.comment or (lost.comment if lost else "")) if told else "",
                "lost": lost is not None,
                "again": told and entry.waiting and entry.score is not None,
                "whose": _whose(entry, ever.get(student, ()), digests[student]) if told else "",
                "others": {r: m.score for r, m in by_reader.items() if r != self.reader and told},
                "differ": told and _differ(by_reader),
                "settled": next((m.reader for m in by_reader.values() if m.settles), "") if told else "",
            }
        unread = sum(not row["read"] for row in rows.values())
        seconds = unread * marks.pace((m for m in standing if m.question == name), self.reader)
        return {
            "rows": rows,
            "read": len(rows) - unread,
            "of": len(rows),
            "minutes": math.ceil(seconds / 60),
            "differ": sum(row["differ"] for row in rows.values()),
            "agreements": [
                {
                    "readers": found.readers,
                    "answers": found.answers,
                    "equal": found.equal,
                    "kappa": found.kappa,
                }
                for found in marks.agreements(given)
            ],
            "comments": self._comments(question, given, written),
            "undo": self._last(standing, question) is not None,
        }

    def mark(
        self,
        lesson: str,
        name: str,
        answers: Mapping[str, str],
        score: float,
        comment: str = "",
        settles: bool = False,
    ) -> dict[str, Any]:
        """Give answers a mark.

        The last mark counts, unless somebody settled a difference: then that one does, until it is settled anew or the answer
        waits again. An empty comment leaves another reader's comment where it is.

        Args:
            lesson: name of the lesson.
            name: of the question.
            answers: the digest of what was read, by pseudonym.
            score: points.
            comment: for the students, in markdown.
            settles: it decides between readers who differ.

        Returns:
            The state afterwards.

        Raises:
            CourseError: for an answer or a mark that there is not, or where nothing can be written. Nothing was marked then.
        """
        question = self.question(lesson, name)
        if not math.isfinite(score) or not 0 <= score <= question.points:
            raise CourseError(f"{score:g} is no mark here: give 0 to {question.points:g} points")
        if len(comment) > COMMENT:
            raise CourseError(f"the comment has {len(comment)} characters: {COMMENT} are the most")
        with self._store.marking():
            written = self._readable(question)
            known = {pseudonym(question, student): student for student in written}
            strange = [answer for answer in answers if answer not in known]
            if strange or not answers:
                raise CourseError(
                    f"there is no answer {', '.join(strange) or 'named'} to be marked: load the page again"
                )
            read = {known[answer]: digest for answer, digest in answers.items()}
            digests = {student: _digest_of(self._text(question, student)) for student in read}
            if digests != read:
                raise CourseError(
                    "an answer was handed in anew while you read it: load the page again; nothing was marked"
                )
            given = marks.latest(marks.standing(self._course.classroom), lesson, name, digests)
            batch, time = secrets.token_hex(8), marks.now()
            made, entries = [], {}
            for student in read:
                before, by_reader = written[student].entry, given.get(student, {})
                counts = settles or before.waiting or not any(mark.settles for mark in by_reader.values())
                made.append(
                    Mark(batch, time, self.reader, lesson, name, student, float(score), comment, settles, counts, digests[student], before)
                )  # fmt: skip
                if counts:
                    mine = by_reader.get(self.reader)
                    own = mine is not None and (before.comment or "") == mine.comment
                    kept = before.comment if not comment and not own else comment
                    entries[student] = Entry(float(score), False, kept)
            self._write(question, made, entries)
        LOG.info("%s marked %d answer(s) of %s, %s: %g", self.reader, len(made), lesson, name, score)
        return self.state(lesson, name)

    def undo(self, lesson: str, name: str) -> tuple[list[str], str]:
        """Take this reader's last keystroke on a question back.

        Returns:
            Pseudonyms of the answers whose mark was taken back, and a sentence where the gradebook keeps what somebody
            wrote since.

        Raises:
            CourseError: if there is nothing to take back, or nothing can be written.
        """
        question = self.question(lesson, name)
        with self._store.marking():
            standing = marks.standing(self._course.classroom)
            last = self._last(standing, question)
            if not last:
                raise CourseError(f"{self.reader} has nothing to take back here")
            since = {mark.answer for mark in standing[standing.index(last[-1]) + 1 :] if mark.counted}
            written = book.read(self._gradebook, lesson, question.grade_id)
            entries, later = {}, 0
            for mark in filter(lambda mark: mark.counted and mark.student in written, last):
                stands = written[mark.student].entry
                own = (stands.comment or "") in (mark.comment, mark.before.comment or "")
                if mark.answer not in since and own and (stands.score, stands.waiting) == (mark.score, False):
                    entries[mark.student] = mark.before
                else:
                    later += 1
            self._put(question, entries)
            marks.take_back(self._course.classroom, last[0].batch, self.reader)
        LOG.info("%s took back %d mark(s) of %s, %s", self.reader, len(last), lesson, name)
        said = f"{later} of them have another mark in the gradebook since; that one stays" if later else ""
        return [pseudonym(question, mark.student) for mark in last], said

    def _write(self, question: Question, made: Sequence[Mark], entries: Mapping[str, Entry]) -> None:
        """Note the marks, then write what counts; where that fails, the note is taken back."""
        marks.note(self._course.classroom, made)
        try:
            self._put(question, entries)
        except BaseException:
            marks.take_back(self._course.classroom, made[0].batch, self.reader)
            raise

    def _put(self, question: Question, entries: Mapping[str, Entry]) -> None:
        try:
            book.write(self._gradebook, question.lesson, question.grade_id, entries)
        except SQLAlchemyError as error:
            raise CourseError(
                f"the gradebook could not be written ({str(getattr(error, 'orig', error)).splitlines()[0]}): nothing was marked; try again"
            ) from error

    def _last(self, standing: Sequence[Mark], question: Question) -> list[Mark] | None:
        """The marks of this reader's last keystroke on a question."""
        own = [
            mark
            for mark in standing
            if mark.reader == self.reader and mark.answer[:2] == (question.lesson, question.name)
        ]
        return [mark for mark in own if mark.batch == own[-1].batch] if own else None

    def _is_mine(self, question: Question, student: str) -> bool:
        """Whether an answer belongs to this reader's share."""
        if not self.share.endswith("/2"):
            return True
        return _digest(question, student)[0] % 2 == int(self.share[0]) - 1

    def _is_read(self, entry: Entry, by_reader: Mapping[str, Mark]) -> bool:
        """Whether there is nothing more for this reader to do with an answer."""
        return not entry.waiting and (self.share != "all" or self.reader in by_reader)

    def _readable(self, question: Question) -> dict[str, book.Written]:
        """What the gradebook holds of the answers that a person reads: written, and graded so far that they can be shown."""
        found = book.read(self._gradebook, question.lesson, question.grade_id)
        return {
            student: written
            for student, written in sorted(found.items())
            if not written.by_itself and self._path(question, student).is_file()
        }

    def _path(self, question: Question, student: str) -> Path:
        return self._store.graded(student, question.lesson) / f"{question.lesson}.ipynb"

    def _text(self, question: Question, student: str) -> str:
        """A student's answer as it was written; a notebook is read once while it stays as it is."""
        path = self._path(question, student)
        stamp = path.stat().st_mtime_ns
        if self._texts.get(path, (0, {}))[0] != stamp:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            answers = {
                str(cell["metadata"]["nbgrader"]["grade_id"]): "".join(cell["source"])
                for cell in cells
                if cell["metadata"].get("nbgrader", {}).get("solution") and cell["cell_type"] == "markdown"
            }
            self._texts[path] = (stamp, answers)
        return self._texts[path][1].get(question.grade_id, "")

    def _placed(self, question: Question, texts: Mapping[str, str]) -> dict[str, Place]:
        """Where the answers stand among each other; worked out anew when one changes."""
        key, now = (question.lesson, question.name), hash(tuple(sorted(texts.items())))
        if self._places.get(key, (None, {}))[0] != now:
            named = {pseudonym(question, student): student for student in texts}
            placed = groups({name: texts[student] for name, student in named.items()})
            self._places[key] = (now, {named[name]: place for name, place in placed.items()})
        return self._places[key][1]

    def _comments(
        self,
        question: Question,
        given: Mapping[str, Mapping[str, Mark]],
        written: Mapping[str, book.Written],
    ) -> list[str]:
        """Comments that were given on this question, the commonest first: by readers here, and in the Formgrader."""
        here = {(student, m.comment) for student, by in given.items() for m in by.values() if m.comment}
        there = {
            (student, w.entry.comment.removeprefix(TO_ANOTHER))
            for student, w in written.items()
            if w.entry.comment
        }
        counts = Counter(comment for _, comment in sorted(here | there))
        return [comment for comment, _ in counts.most_common(REUSED)]


def pseudonym(question: Question, student: str) -> str:
    """Name an answer without its author: always alike for one answer, another for each question."""
    name = base64.b32encode(_digest(question, student)).decode()
    return f"{name[:4]}-{name[4:]}"


def _digest(question: Question, student: str) -> bytes:
    what = json.dumps([question.lesson, question.name, student]).encode()
    return hashlib.blake2b(what, digest_size=5).digest()


def _digest_of(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _differ(by_reader: Mapping[str, Mark]) -> bool:
    """Whether readers gave an answer different marks, and nobody has settled it."""
    return len({mark.score for mark in by_reader.values()}) > 1 and not any(
        mark.settles for mark in by_reader.values()
    )


def _lost(entry: Entry, by_reader: Mapping[str, Mark]) -> Mark | None:
    """The mark that counted, of an answer for which the gradebook holds none any more, such as one that was filled anew."""
    if entry.score is not None:
        return None
    return next((mark for mark in reversed([*by_reader.values()]) if mark.counted), None)


def _whose(entry: Entry, given: Sequence[Mark], digest: str) -> str:
    """Say where the mark that counts comes from.

    Args:
        entry: what the gradebook holds of an answer.
        given: its marks in the order in which they were given, those of its earlier texts, too.
        digest: of its text as it is now.
    """
    if entry.score is None:
        return ""
    newest: dict[tuple[str, str], Mark] = {}
    for mark in reversed(given):
        if mark.counted:
            newest.setdefault((mark.reader, mark.digest), mark)
    for mark in newest.values():
        if mark.score == entry.score:
            settled = ", who settled it" if mark.settles else ""
            return f"{mark.reader}{settled}{'' if mark.digest == digest else ', for an earlier text'}"
    return "the Formgrader"
