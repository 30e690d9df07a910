"""Whose each file is: what its path tells of the sender, looked up in the class list, and what should be said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from course.intake.claim import Claim
from course.intake.roster import Roster, safe_id, tag

_COMMON = 3  # students of one download beside whose ids a word stands that is then a remark


def student_ids(
    claims: Sequence[Claim], contexts: Sequence[tuple[str, str]], roster: Roster
) -> tuple[list[str], list[str]]:
    """Give each claim its student's id; people of one name are kept apart.

    Args:
        claims: what the paths tell.
        contexts: for each, (download, lesson): within one, a name with two numbers is two people.
        roster: the class; may be empty.

    Returns:
        For each claim an id, empty where nobody can be told; and warnings.
    """
    lessons = [lesson for _, lesson in contexts]
    remarks = _remarks(claims, contexts, roster)
    found = [_look_up(claim, roster, lesson, remarks) for claim, lesson in zip(claims, lessons, strict=True)]
    twins = _twins(claims, contexts, found)
    ids: list[str] = []
    owners: list[tuple[str, str]] = []
    warnings = [claim.doubt for claim in claims if claim.doubt]
    warnings += [
        f"{word!r} stands beside the ids of {many} students and in no name of the class list: taken for a remark"
        for word, many in remarks.items()
    ]
    here: dict[tuple[str, str], set[str]] = {}
    for context, (student, _) in zip(contexts, found, strict=True):
        here.setdefault(context, set()).add(student)
    for claim, context, (student, count), twin in zip(claims, contexts, found, twins, strict=True):
        warnings += _doubts(claim, student, count, twin, roster, context[1], remarks) or _shorter(
            claim, student, here[context], roster
        )
        known = claim.key and (claim.sure or not roster.people) and not (claim.by_hand and count > 1)
        number = claim.number if (twin or count > 1) and not claim.label.endswith(claim.number) else ""
        own = safe_id(f"{claim.label}_{number}" if number else claim.label) if known else ""
        if (twin or count > 1) and roster.listed(own):
            own = ""  # the id of one of them, and the others may be meant
        certain = bool(student) and not twin
        ids.append(student if certain else own)
        owners.append(("", "") if certain or claim.by_hand else (claim.key, number))
    warnings += _merged(claims, contexts, found, twins, roster) + _groups(claims, found, roster)
    masked = {claim.key for claim in claims if claim.anonymous}
    if masked and roster.people:
        warnings.append(f"anonymous senders: {len(masked)}; some who seem to be missing may be among them")
    return _apart(ids, owners), list(dict.fromkeys(warnings))


def _remarks(
    claims: Sequence[Claim], contexts: Sequence[tuple[str, str]], roster: Roster
) -> Mapping[str, int]:
    """Find the words that stand beside the ids of several students of one download, and in no name of the class: `montag`, not a family's name.

    Returns:
        Each with the number of these students.
    """
    beside: dict[tuple[str, str], set[str]] = {}
    for claim, (download, lesson) in zip(claims, contexts, strict=True):
        if claim.within and not claim.by_hand and not roster.find(_hints(claim, roster))[1]:
            people, against = _within(claim, roster, lesson)
            for word in against:
                beside.setdefault((download, word), set()).add(people[0])
    return {
        word: len(students)
        for (_, word), students in beside.items()
        if len(students) >= _COMMON and not roster.has_named(word)
    }


def _look_up(claim: Claim, roster: Roster, lesson: str, remarks: Collection[str] = ()) -> tuple[str, int]:
    """Find a claim's sender on the roster: by the whole of a name, else as the only one who stands in it."""
    if claim.anonymous:
        return "", 0
    if claim.by_hand and (student := roster.listed(claim.label)):
        return student, 1  # `--student ID`, even where it is what another's e-mail begins with
    student, count = roster.find(_hints(claim, roster))
    if not count:
        people, against = _within(claim, roster, lesson, remarks)
        if not against:
            student, count = (people[0] if len(people) == 1 else ""), len(people)
    return student, count


def _hints(claim: Claim, roster: Roster) -> list[str]:
    """What a claim tells of its sender; a platform's number only where it is theirs on the roster, too."""
    return [h for h in claim.hints if h != claim.number or roster.may_have(h, claim.hints[0])]


def _within(
    claim: Claim, roster: Roster, lesson: str, remarks: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Who of the roster stands in a claim's names, and the words that speak against the only one."""
    text = next(filter(roster.named, claim.within), "")
    people = sorted(roster.named(text))
    against = roster.beside(text, people[0], lesson) if len(people) == 1 else []
    return people, [word for word in against if word not in remarks]


def _twins(
    claims: Sequence[Claim], contexts: Sequence[tuple[str, str]], found: Sequence[tuple[str, int]]
) -> list[bool]:
    """Tell whose name, or place on the roster, two accounts of one platform share."""
    numbers: dict[tuple[object, ...], set[str]] = {}
    keys = [
        [(claim.platform, claim.key, context), (claim.platform, "", student, context)]
        for claim, context, (student, _) in zip(claims, contexts, found, strict=True)
    ]
    for claim, (by_name, by_student) in zip(claims, keys, strict=True):
        numbers.setdefault(by_name, set()).add(claim.number)
        numbers.setdefault(by_student, set()).add(claim.number)
    shared = {
        (c.platform, c.key) for c, (by_name, _) in zip(claims, keys, strict=True) if len(numbers[by_name]) > 1
    }
    return [
        (claim.platform, claim.key) in shared or bool(student and len(numbers[by_student]) > 1)
        for claim, (student, _), (_, by_student) in zip(claims, found, keys, strict=True)
    ]


def _doubts(
    claim: Claim, student: str, count: int, twin: bool, roster: Roster, lesson: str, remarks: Collection[str]
) -> list[str]:
    """What should be said of how one claim found its student."""
    if claim.aside or (claim.by_hand and count < 2) or claim.anonymous:
        return []
    if twin or (count > 1 and claim.number):
        return [
            f"{claim.label}: several people go by this name; {claim.platform}'s number {claim.number or '?'} keeps them apart"
        ]
    if count > 1:
        return [f"{claim.label}: {count} people of the roster may be meant; collect it with --student ID"]
    for hint in _hints(claim, roster) if student else ():
        other, _ = roster.find([hint])
        if other in ("", student) or student in roster.also(hint, other):
            continue
        if not claim.hints[0].endswith(hint):
            return [
                f"{claim.label}: taken for {roster.name(student)}'s ({student}) by {claim.hints[0]!r}, but {hint!r} is {roster.name(other)}'s ({other}); "
                "if it is theirs, collect it with --student ID"
            ]
    if student and claim.within and (others := roster.namesakes(claim.label, student)):
        names = ", ".join(f"{roster.name(other)} ({other})" for other in others[:3])
        word = "name" if roster.is_called(claim.label, student) else "id"
        return [
            f"{claim.label}: taken for {roster.name(student)}'s ({student}), whose {word} it is, but so are called {names}; "
            "if it is theirs, collect it with --student ID"
        ]
    people, against = _within(claim, roster, lesson, remarks) if not student else ([], [])
    if against:
        words = ", ".join(map(repr, against))
        return [
            f"{claim.label or claim.file}: not taken for {roster.name(people[0])}'s ({people[0]}), whose id stands in it, because of {words}; "
            "collect it with --student ID"
        ]
    return []


def _shorter(claim: Claim, student: str, here: Collection[str], roster: Roster) -> list[str]:
    """Say whose shorter name a student's is, too, unless they handed in as well."""
    if not student or claim.by_hand or claim.aside:
        return []
    text = next((h for h in _hints(claim, roster) if roster.find([h])[0] == student), claim.label)
    if not (others := sorted(roster.also(text, student).difference(here))):
        return []
    names = ", ".join(f"{roster.name(other)} ({other})" for other in others[:3])
    return [
        f"{claim.label}: taken for {roster.name(student)}'s ({student}), whose name it is, but so may be called {names}; "
        "if it is theirs, collect it with --student ID"
    ]


def _merged(
    claims: Sequence[Claim],
    contexts: Sequence[tuple[str, str]],
    found: Sequence[tuple[str, int]],
    twins: Sequence[bool],
    roster: Roster,
) -> list[str]:
    """Say where differently called folders or files of one download are taken for one person's."""
    labels: dict[tuple[str, tuple[str, str]], dict[str, None]] = {}
    for claim, context, (student, _), twin in zip(claims, contexts, found, twins, strict=True):
        if student and not twin and not claim.by_hand and not claim.aside:
            labels.setdefault((student, context), {})[claim.label] = None
    return [
        f"{roster.name(student)} ({student}): all of {', '.join(map(repr, names))} are taken for this one person's; the latest counts"
        for (student, _), names in labels.items()
        if len(names) > 1
    ]


def _groups(claims: Sequence[Claim], found: Sequence[tuple[str, int]], roster: Roster) -> list[str]:
    """Say what was taken for the name of a group before a student's."""
    groups = set()
    for claim, (student, _) in zip(claims, found, strict=True):
        name = next((h for h in claim.hints if student and roster.find([h])[0] == student), "")
        if name and claim.label.endswith(f"-{name}"):
            groups.add(claim.label.removesuffix(f"-{name}"))
    return [f"taken for groups' names: {', '.join(map(repr, sorted(groups)))}"] if groups else []


def _apart(ids: list[str], owners: list[tuple[str, str]]) -> list[str]:
    """Add a mark to ids that differ in nothing but case yet belong to different senders, all but the first; a name given by hand is the first's."""
    certain = ("", "")
    groups: dict[str, set[tuple[str, str]]] = {}
    spelled: dict[str, str] = {}
    for name, owner in zip(ids, owners, strict=True):
        if owner == certain:
            spelled.setdefault(name.casefold(), name)
        groups.setdefault(name.casefold(), set()).update({owner} - {certain})
    firsts = {name: min(found, default=certain) for name, found in groups.items()}
    return [
        spelled.get(name.casefold(), name)
        if not name or owner in (certain, firsts[name.casefold()])
        else f"{name}-{tag('|'.join(owner))}"
        for name, owner in zip(ids, owners, strict=True)
    ]
