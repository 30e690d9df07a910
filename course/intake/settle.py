"""Which attempt counts: the latest, and among equals never the alphabet; what only a person can tell is said."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType

from course.intake.attempts import Attempt, is_changed
from course.intake.reading import OURS
from course.intake.triage import IGNORED, OLDER, TAKEN, UNREADABLE, WAITING
from course.model import short_digest

_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class Decision:
    """What becomes of one attempt.

    Args:
        attempt: which.
        student: whose; empty if nobody can be told.
        status: one of the triage's.
        reason: why.
        doubts: what a person should look at although it is graded.
        files: tells the student's files of this lesson from others: who has looked at these has not looked at those.
    """

    attempt: Attempt
    student: str
    status: str
    reason: str = ""
    doubts: tuple[str, ...] = ()
    files: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is what will be graded."""
        return self.status == TAKEN


def settle(
    attempts: Sequence[Attempt],
    students: Sequence[str],
    listed: Collection[str] = (),
    may_be: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Decision]:
    """Decide for each student and lesson which attempt counts.

    Args:
        attempts: all that was handed in.
        students: for each attempt whose it is; empty if nobody can be told.
        listed: who is on the class list; empty without one. Whoever is not on it may be somebody who is.
        may_be: of senders who are not on it, who is called as they are.

    Returns:
        One decision an attempt; of the same file handed in twice, one, and one for all that is the course's own.
    """
    own: dict[tuple[str, object], list[Attempt]] = {}
    groups: dict[tuple[str, str], list[Attempt]] = {}
    worked: set[tuple[str, object, str]] = set()  # of a lesson only with answers in it; "" is any
    for attempt, student in zip(attempts, students, strict=True):
        if attempt.is_ours and not is_changed(attempt):
            own.setdefault((student, attempt.download), []).append(attempt)
        else:
            groups.setdefault((student, attempt.lesson), []).append(attempt)
            if attempt.readable:
                worked.add((student, attempt.download, ""))
                if attempt.reading.answers or attempt.reading.doubts:
                    worked.add((student, attempt.download, attempt.lesson))
    unlisted = {student for student, _ in groups if student and listed and student not in listed}
    strays = {pair for pair in groups if not all(pair) or pair[0] in unlisted}
    times = _times([a for pair in strays for a in groups[pair]])
    named: dict[str, dict[tuple[str, str], Attempt]] = {}
    for pair, group in groups.items():
        for a in group:
            if a.claim.by_hand and all(pair):
                named.setdefault(a.digest, {})[pair] = a
    called: dict[str, set[str]] = {}  # digest of an unlisted sender's file -> whose it may be
    for student, lesson in strays:
        for a in groups[student, lesson]:
            called.setdefault(a.digest, set()).update(may_be.get(student, ()))
    decisions = []
    for (student, lesson), group in sorted(groups.items(), key=lambda it: not it[0][0]):  # nobody's last
        made = _settle(student, _once(sorted(_in_turn(group), key=_order), times), worked)
        if (student, lesson) in strays:
            others = {a.digest: called[a.digest].difference(may_be.get(student, ())) for a in group}
            made = [_claimed(d, named, unlisted, groups, others[d.attempt.digest]) for d in made]
        decisions += made
    for (student, download), files in own.items():
        lost = [
            a for a in files if a.lesson and a.path.endswith(".ipynb") and (student, a.lesson) not in groups
        ]
        beside = (student, download, "") in worked and not lost
        decisions.append(_nobodys(student, lost or files, beside))
    return decisions


def _claimed(
    stray: Decision,
    named: Mapping[str, dict[tuple[str, str], Attempt]],
    unlisted: Collection[str],
    groups: Mapping[tuple[str, str], Sequence[Attempt]],
    others: Collection[str],
) -> Decision:
    """Leave nothing to ask of a stray once a person has named whose the same file is, and of which lesson: one stray for each that is named.

    A stray is a file of which nobody can tell whose or of which lesson it is, or of somebody who is not on the class list. Where the same
    file came from that student anyhow, one of nobody's stays nobody's; one of somebody unlisted is that student's under another name, unless
    the same file came from one of the `others`, who are called as another sender is.
    """
    attempt, by_hand = stray.attempt, named.get(stray.attempt.digest, {})
    if stray.student in unlisted:
        if not (stray.status in (UNREADABLE, WAITING) or stray.counts):
            return stray
        pair = next((pair for pair in by_hand if pair[0] not in {*unlisted, *others}), None)
    elif stray.status in (UNREADABLE, WAITING):
        fits = (pair for pair in by_hand if stray.student in ("", pair[0]))
        pair = next((p for p in fits if not any(a.digest == attempt.digest and not a.claim.by_hand for a in groups[p])), None)  # fmt: skip
    else:
        return stray
    if not pair:
        return stray
    found = by_hand[pair] if attempt.claim.by_hand else by_hand.pop(pair)
    student = pair[0] if stray.student in unlisted else stray.student
    return Decision(attempt, student, OLDER, f"collected by hand as {pair[0]}'s: {found.path}")


def _times(attempts: Sequence[Attempt]) -> dict[str, datetime]:
    """When a file of a digest came first, where a download says so."""
    times: dict[str, datetime] = {}
    for a in attempts:
        if a.time and not a.claim.by_hand:
            times[a.digest] = min(a.time, times.get(a.digest, a.time))
    return times


def _in_turn(group: Sequence[Attempt]) -> list[Attempt]:
    """Let uploads to a platform that tells no times have come in the order of their numbers, in whatever order downloads are collected;
    the same upload comes again with each download."""
    numbered = [a for a in group if a.claim.untimed and not a.claim.by_hand]
    since: dict[tuple[int, ...], datetime] = {}
    for a in numbered:
        since[a.claim.serial] = min(a.when, since.get(a.claim.serial, a.when))
    for later, earlier in pairwise(sorted(since, reverse=True)):
        since[earlier] = min(since[earlier], since[later] - timedelta(microseconds=1))
    rest = [a for a in group if not a.claim.untimed or a.claim.by_hand]
    return [*rest, *(replace(a, since=since[a.claim.serial]) for a in numbered)]


def _once(group: Sequence[Attempt], times: Mapping[str, datetime]) -> list[Attempt]:
    """Leave out what is the same file again: of one time, or the same download collected twice. What came by a platform stays beside what
    was collected by hand: pages go back under its name.

    A file collected by hand came when it came by another way, if it did: its own time may be that of saving an attachment. That is the
    way of this student, or that of a stray.
    """
    seen: dict[tuple[str, str, datetime | None, bool], Attempt] = {}
    times = {**times, **_times(group)}
    for file in group:
        if file.claim.by_hand:
            file = replace(file, time=times.get(file.digest))
        key = file.digest, file.claim.file, file.time, file.claim.by_hand
        seen.pop(key, None)  # the order stays: collected once more, it counts more than it did
        seen[key] = file
    return list(seen.values())


def _rank(attempt: Attempt) -> tuple[object, ...]:
    """What makes an attempt count more than another: by hand, no leftover, later, with answers, a notebook, a later upload."""
    return (
        *_place(attempt),
        bool(attempt.reading.answers),
        not attempt.reading.is_script,
        attempt.claim.serial,
    )


def _place(attempt: Attempt) -> tuple[bool, bool, bool, datetime]:
    """What makes an attempt later, whatever is in it."""
    return (attempt.claim.by_hand, not attempt.is_checkpoint, not attempt.spare, attempt.when)


def _order(attempt: Attempt) -> tuple[object, ...]:
    """The rank; behind it, so that equals are listed in some order, the path with its numbers as numbers."""
    return (*_rank(attempt), _NUMBERS.sub("0", attempt.path), _numbers(attempt), attempt.path)


def _numbers(attempt: Attempt) -> tuple[int, ...]:
    return tuple(int(number[:15]) for number in _NUMBERS.findall(attempt.path))


def _settle(student: str, group: list[Attempt], worked: set[tuple[str, object, str]]) -> list[Decision]:
    """Decide for one student and lesson; the group is in order."""
    alone = all(a.aside or a.claim.aside for a in group)
    able = [a for a in group if a.readable and student]
    able = _without_scripts_beside(able)
    counts, tied = _latest(able)
    doubts = _doubts(counts, group) if counts else ()
    files = short_digest(" ".join(sorted({a.digest for a in group})).encode())
    return [
        Decision(a, student, TAKEN, "", doubts, files)
        if a is counts
        else Decision(
            a,
            student,
            *_told(a, student, counts, tied, (student, a.download, a.lesson) in worked, alone),
            files=files,
        )
        for a in group
    ]


def _without_scripts_beside(able: list[Attempt]) -> list[Attempt]:
    """Leave out scripts that lie beside a notebook with answers and were not handed in later: they are its helpers."""
    notebooks = [a for a in able if not a.reading.is_script and a.reading.answers]

    def beside(script: Attempt) -> bool:
        return any(
            script.download == n.download
            and not script.claim.by_hand
            and (script.claim.time is None or script.claim.time == n.claim.time)
            for n in notebooks
        )

    return [a for a in able if not (a.reading.is_script and beside(a))]


def _latest(able: list[Attempt]) -> tuple[Attempt | None, list[Attempt]]:
    """The attempt that counts, and those between which only a person can decide."""
    if not able:
        return None, []
    best = [a for a in able if _rank(a) == _rank(able[-1])]
    chosen = best[-1]
    for other in best[:-1]:
        if not _settled(other, chosen):
            earlier = [a for a in able if _rank(a) != _rank(chosen)]
            return _latest(earlier)[0], best
        if _holds_more(other, chosen):
            chosen = other
    return chosen, []


def _settled(a: Attempt, b: Attempt) -> bool:
    """Whether it can be told which of two equals counts: one holds all of the other, or only a number in the path differs."""
    numbered = _NUMBERS.sub("0", a.path) == _NUMBERS.sub("0", b.path)
    ours, theirs = a.reading.answers.items(), b.reading.answers.items()
    return numbered or ours <= theirs or theirs <= ours


def _holds_more(a: Attempt, b: Attempt) -> bool:
    """Whether the first holds all answers of the second and more, where no number in the path decides."""
    if _NUMBERS.sub("0", a.path) == _NUMBERS.sub("0", b.path):
        return _numbers(a) > _numbers(b)
    ours, theirs = a.reading.answers.items(), b.reading.answers.items()
    return ours > theirs or (ours == theirs and len(a.reading.notebook) > len(b.reading.notebook))


def _doubts(counts: Attempt, group: list[Attempt]) -> tuple[str, ...]:
    """What a person should look at in the attempt that counts: answers that stand only in one that does not, and what came later."""
    doubts = []
    if counts.reading.doubts:
        titles = ", ".join(counts.reading.doubts)
        doubts.append(
            f"{titles}: no answer where it should stand, but it may be elsewhere in the file; look before points are given"
        )
    told = set(counts.reading.answers)
    for other in reversed(group):
        lost = sorted(set(other.reading.answers) - told)
        if lost and not other.is_ours:
            told.update(lost)
            doubts.append(f"{other.path} holds answers that this one lacks: {', '.join(lost)}")
    if counts.claim.by_hand:
        known = {a.digest for a in group if a.when <= counts.when}
        doubts += [
            f"{other.path} came after this was collected by hand, which counts; if that is to count, collect it with --student ID, too"
            for other in group
            if other.readable and not other.is_ours and other.digest not in known
        ]
    return tuple(doubts)


def _told(
    attempt: Attempt, student: str, counts: Attempt | None, tied: list[Attempt], has_work: bool, alone: bool
) -> tuple[str, str]:
    """Status and reason of an attempt that does not count; a script is no helper where there is nothing else of its lesson."""
    if aside := attempt.claim.aside or attempt.aside:
        stray = attempt.claim.aside or attempt.spare or not student
        is_all = alone and attempt.reading.answers and not stray
        return UNREADABLE if is_all else IGNORED, _join(attempt.problem, aside)
    if is_changed(attempt) and not (counts and counts.claim.by_hand):
        return WAITING, (
            "the instructor's edition of the lesson with other answers in it; if they are the student's own work, collect it with --student ID"
        )
    if not student:
        if attempt.is_checkpoint and not attempt.problem:
            return IGNORED, "a copy that Jupyter keeps by itself"
        return UNREADABLE, _join(attempt.problem, "whose it is cannot be told: collect it with --student ID")
    if not attempt.readable and not attempt.is_work and has_work:
        return IGNORED, _join(attempt.problem, "a notebook of this student lies beside it")
    if attempt in tied:
        others = ", ".join(a.path for a in tied if a is not attempt)
        lesson = f" --lesson {attempt.lesson}" if attempt.lesson else ""
        return WAITING, _join(
            f"of the same time as {others}, with other answers: which one counts only a person can tell; collect that file with --student {student}{lesson}",
            f"graded meanwhile: {counts.path}" if counts else "",
        )
    if counts and attempt.readable and _place(attempt) == _place(counts):
        return OLDER, f"{_better(attempt, counts)}: {counts.path}"
    if counts and _place(attempt) < _place(counts):
        chosen = counts.claim.by_hand and not attempt.claim.by_hand
        why = "what was collected by hand counts" if chosen else "a later attempt counts"
        return OLDER, _join(attempt.problem, f"{why}: {counts.path}")
    if counts and attempt.readable:
        return OLDER, f"a script beside the notebook that counts: {counts.path}"
    if counts and _place(attempt) == _place(counts) and attempt.claim.serial < counts.claim.serial:
        return OLDER, _join(attempt.problem, f"a later attempt counts: {counts.path}")
    if counts:
        return UNREADABLE, _join(attempt.problem, f"graded meanwhile: {counts.path}")
    return UNREADABLE, attempt.problem


def _better(attempt: Attempt, counts: Attempt) -> str:
    """Why one of two of the same time counts."""
    if bool(attempt.reading.answers) != bool(counts.reading.answers):
        return "no answer in it, one of the same time has some and counts"
    if attempt.reading.is_script and not counts.reading.is_script:
        return "a script, the notebook of the same time counts"
    if attempt.reading.answers == counts.reading.answers:
        return "one of the same time with the same answers counts"
    if attempt.claim.serial < counts.claim.serial or _numbers(attempt) < _numbers(counts):
        return "a later attempt counts"
    return "one of the same time holds all its answers and more, and counts"


def _nobodys(student: str, files: list[Attempt], has_work: bool) -> Decision:
    """One decision for all that is the course's own in one sender's part of a download."""
    first = next((a for a in files if a.reading.lesson), files[0])
    many = f" ({len(files)} files)" if len(files) > 1 else ""
    lesson = next((a.lesson for a in files if a.lesson), "")
    if has_work or not student:
        return Decision(
            replace(first, lesson=lesson), student, IGNORED, f"{OURS}, helpers or tests{many}: nobody's work"
        )
    return Decision(
        replace(first, lesson=lesson),
        student,
        UNREADABLE,
        f"{OURS}, helpers or tests{many}, and nothing else: nobody's work; ask for the student's own notebook",
    )


def _join(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))
