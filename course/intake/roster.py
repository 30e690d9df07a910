"""Who is in the class, and under which folder name each student's work is kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from course.csvfile import read_csv
from course.intake.lms import Handin, slug
from course.model import CourseError

_COLUMNS = {
    "id": "id student_id sid sis_user_id sis_id student_number username user_name login sis_login_id id_number matriculation_number "
    "matrikelnummer user userid student_no",
    "first_name": "first_name first given_name given forename vorname firstname",
    "last_name": "last_name last surname family_name family nachname lastname",
    "email": "email e_mail email_address mail e_mail_adresse",
    "name": "name full_name student student_name fullname",
}
_SPELLED_OUT = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ø": "oe",
        "å": "aa",
        "æ": "ae",
        "ß": "ss",
    }
)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)


@dataclass(frozen=True)
class Person:
    """One student: the id under which work is kept and graded, names and e-mail where known."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""

    @property
    def name(self) -> str:
        """Full name; the id where no name is known."""
        return f"{self.first_name} {self.last_name}".strip() or self.id


def safe_id(label: str) -> str:
    """Make of a name what can safely name a folder: letters of any script, digits and . _ @ - inside.

    Args:
        label: a name or id.

    Returns:
        The label in Unicode's composed form, without separators, leading dots and dashes; at most 80 bytes.
    """
    text = unicodedata.normalize("NFC", label)
    text = "".join(c if unicodedata.category(c)[0] in "LNM" or c in "._@-" else "_" for c in text)
    text = re.sub(r"_{2,}", "_", text).strip("._@-")
    while len(text.encode()) > 80:
        text = text[:-1]
    if not text or _RESERVED.fullmatch(text):
        return f"student-{_digest(label)}"
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


class Roster:
    """The class, by everything a platform may call a student.

    Args:
        people: the students.
    """

    def __init__(self, people: Sequence[Person]):
        self.people = list(people)
        self._by_key: dict[str, set[str]] = {}
        for person in people:
            for key in _keys(person):
                self._by_key.setdefault(key, set()).add(person.id)

    def name(self, student: str) -> str:
        """The full name that belongs to an id; empty if it is not on the roster."""
        return next((person.name for person in self.people if person.id == student), "")

    def find(self, hints: Iterable[str]) -> tuple[str, int]:
        """Look a sender up.

        Args:
            hints: what a path tells of the sender, ids before names.

        Returns:
            The student's id, empty if unknown; and how many students the best hint fits.
        """
        fits: set[str] = set()
        for hint in hints:
            found = self._by_key.get(_key(hint), set()) if hint else set()
            fits = (fits & found) or fits or found
            if len(fits) == 1:
                return next(iter(fits)), 1
        return "", len(fits)


def read_roster(path: Path | None) -> Roster:
    """Read a class list: id, first_name, last_name, email, or whatever a platform calls these columns.

    Args:
        path: a CSV file; None is the empty roster.

    Returns:
        The roster; ids are made safe for folders.

    Raises:
        CourseError: if no column tells who a student is, or two lines have one id.
    """
    if path is None:
        return Roster([])
    people: dict[str, Person] = {}
    for number, row in enumerate(read_csv(path), start=2):
        person = _person(row)
        if person is None:
            found = ", ".join(map(repr, row))
            raise CourseError(
                f"{path}, line {number}: no id, e-mail or name; the columns should be id, first_name, last_name, email, but are {found}"
            )
        twin = people.get(person.id.casefold())
        if twin:
            raise CourseError(
                f"{path}, line {number}: the id {person.id!r} of {person.name} is that of {twin.name} already: give each an own id"
            )
        people[person.id.casefold()] = person
    return Roster(list(people.values()))


def _person(row: Mapping[str, str]) -> Person | None:
    """Read one line; None if it names nobody."""
    known: dict[str, str] = {}
    for column, value in row.items():
        for field, spellings in _COLUMNS.items():
            if slug(column) in spellings.split() and value:
                known.setdefault(field, value)
    name = known.get("name", "")
    last, comma, first = name.partition(",")
    if not comma:
        first, _, last = name.rpartition(" ")
    first, last = known.get("first_name", first.strip()), known.get("last_name", last.strip())
    identity = known.get("id") or known.get("email", "").partition("@")[0] or f"{first} {last}".strip()
    return Person(safe_id(identity), first, last, known.get("email", "")) if identity else None


def _keys(person: Person) -> set[str]:
    """What a platform may call a person, in the form that is compared."""
    first, last = person.first_name, person.last_name
    names = (
        [
            f"{first} {last}",
            f"{last} {first}",
            f"{first.split(' ')[0]} {last}",
            f"{last} {first.split(' ')[0]}",
        ]
        if first or last
        else []
    )
    keys = {
        _key(spelled)
        for text in [person.id, person.email, person.email.partition("@")[0], *names]
        for spelled in (text, text.translate(_SPELLED_OUT))
    }
    return keys - {""}


def _key(text: str) -> str:
    """A name without case, accents, blanks and punctuation: `Doe, José` -> `doejose`."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[\W_]", "", "".join(c for c in plain if not unicodedata.combining(c)))


def student_ids(
    handins: Sequence[Handin], contexts: Sequence[tuple[str, str]], roster: Roster
) -> tuple[list[str], list[str]]:
    """Give each hand-in its student's id; people of one name are kept apart.

    Args:
        handins: what the paths tell.
        contexts: for each, (download, lesson): within one, a name with two numbers is two people.
        roster: the class; may be empty.

    Returns:
        For each hand-in an id, empty where nobody can be told; and warnings.
    """
    numbers: dict[tuple[str, str, tuple[str, str]], set[str]] = {}
    for handin, context in zip(handins, contexts, strict=True):
        numbers.setdefault((handin.convention, handin.key, context), set()).add(handin.number)
    namesakes = {(convention, key) for (convention, key, _), found in numbers.items() if len(found) > 1}
    ids: list[str] = []
    owners: list[tuple[str, str]] = []
    warnings: list[str] = []
    for handin in handins:
        found, count = ("", 0) if handin.anonymous else roster.find(handin.hints)
        twin = (handin.convention, handin.key) in namesakes
        if twin or count > 1:
            warnings.append(
                f"{handin.label}: several people go by this name; {handin.convention}'s number {handin.number or '?'} keeps them apart"
            )
        elif (
            not found
            and handin.key
            and handin.sure
            and roster.people
            and not handin.anonymous
            and not handin.by_hand
        ):
            warnings.append(f"{handin.label} is not on the roster")
        known = handin.key and (handin.sure or not roster.people)
        number = handin.number if twin or count > 1 else ""
        own = safe_id(f"{handin.label}_{number}" if number else handin.label) if known else ""
        certain = bool(found) and not twin
        ids.append(found if certain else own)
        owners.append(("", "") if certain or handin.by_hand else (handin.key, number))
    return _apart(ids, owners), list(dict.fromkeys(warnings))


def _apart(ids: list[str], owners: list[tuple[str, str]]) -> list[str]:
    """Add a mark to ids that differ in nothing but case yet belong to different senders, all but the first."""
    certain = ("", "")
    groups: dict[str, set[tuple[str, str]]] = {}
    for name, owner in zip(ids, owners, strict=True):
        groups.setdefault(name.casefold(), set()).update({owner} - {certain})
    firsts = {name: min(found, default=certain) for name, found in groups.items()}
    return [
        name
        if not name or owner in (certain, firsts[name.casefold()])
        else f"{name}-{_digest('|'.join(owner))}"
        for name, owner in zip(ids, owners, strict=True)
    ]
