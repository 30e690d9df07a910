"""Who is in the class, by everything they may be called; and under which folder name each student's work is kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from course.csvfile import read_table
from course.intake.names import LONGEST, is_remark, slug
from course.model import CourseError

_IDS = (  # columns that tell one student from all others, the ones that a school gives first
    *(
        "sis_user_id",
        "sis_id",
        "student_id",
        "student_number",
        "student_no",
        "id_number",
        "matriculation_number",
    ),
    *("matrikelnummer", "matrikel_nr", "matriculation", "orgdefinedid", "sid", "id_nummer", "idnumber"),
    *("numero_d_identification", "numero_d_etudiant", "numero_de_id", "numero_de_identificacao"),
    *(
        "codice_identificativo",
        "matricola",
        "matricula",
        "id",
        "identifier",
        "sis_login_id",
        "login",
        "username",
    ),
    *("user_name", "user", "userid", "nutzername", "benutzername", "nom_d_utilisateur"),
    *("nombre_de_usuario", "nome_utente", "gebruikersnaam", "github_username"),
)
_COLUMNS = {
    "first_name": "first_name first given_name given forename vorname firstname prenom voornaam fornavn fornamn nombre_s nombres",
    "last_name": "last_name last surname family_name family nachname lastname nom_de_famille apellido_s apellidos apellido cognome "
    "sobrenome apelido achternaam etternavn efternamn familienname",
    "email": "email e_mail email_address mail e_mail_adresse e_mail_address adresse_de_courriel courriel adresse_e_mail direccion_de_correo "
    "direccion_email correo correo_electronico indirizzo_email endereco_de_email e_mailadres",
    "name": "name full_name student student_name fullname nom nombre nome nom_complet nombre_completo nome_completo vollstaendiger_name "
    "vollstandiger_name",
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
_STROKES = str.maketrans(  # letters that Unicode does not take apart, and that many write without the stroke
    {"đ": "d", "ł": "l", "ø": "o", "ı": "i", "ħ": "h", "ŧ": "t", "ð": "d", "æ": "ae", "œ": "oe"}
)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)
_EXPECTED = "id,first_name,last_name,email"
_WINDOW = 6  # words of a name that may be one person's
_LEFT_OUT = {*range(10, 37), *range(200, 241)}  # classes of marks: points of Hebrew and Arabic, accents


@dataclass(frozen=True)
class Person:
    """One student: the id under which work is kept and graded, names, e-mail, further ids and Canvas's number where known."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    aliases: tuple[str, ...] = ()
    number: str = ""

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
    text = re.sub(r"_{2,}", "_", text).strip("._@-")[:80]
    while len(text.encode()) > 80:
        text = text[:-1]
    text = text.rstrip("._@-")
    if not text or _RESERVED.fullmatch(text):
        return f"student-{tag(label)}"
    return text


def tag(text: str) -> str:
    """Six characters that tell one name from another."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


class Roster:
    """The class, by everything a platform may call a student.

    Args:
        people: the students.
    """

    def __init__(self, people: Sequence[Person]):
        self.people = list(people)
        self._by_key: dict[str, set[str]] = {}
        self._by_bare_key: dict[str, set[str]] = {}
        self._persons = {person.id: person for person in people}
        self._by_part: dict[str, list[str]] = {}  # a first or a last name alone
        self._in_names = {_bare(word) for person in people for word in _words(person.name)}
        self._ids = {person.id.casefold(): person.id for person in people}
        for person in people:
            for part in {_bare(_key(part)) for part in (person.first_name, person.last_name)} - {""}:
                self._by_part.setdefault(part, []).append(person.id)
            for key in _keys([*_called(person), *_shortened(person)]):
                self._by_key.setdefault(key, set()).add(person.id)
                self._by_bare_key.setdefault(_bare(key), set()).add(person.id)

    def name(self, student: str) -> str:
        """The full name that belongs to an id; empty if it is not on the roster."""
        return self._persons[student].name if student in self._persons else ""

    def listed(self, called: str) -> str:
        """An id as the roster spells it, whatever the case; empty if it is nobody's on it."""
        return self._ids.get(called.casefold(), "")

    def has_named(self, word: str) -> bool:
        """Whether a word stands in anybody's name."""
        return _bare(_key(word)) in self._in_names

    def namesakes(self, text: str, student: str) -> list[str]:
        """Find the others whose first or last name is all that a name says: `Anna`, where that is a student's id."""
        return [other for other in self._by_part.get(_bare(_key(text)), []) if other != student]

    def also(self, text: str, student: str) -> set[str]:
        """Find the others who are called by a student's name where all but the first of their first names, or accents, are left out; nobody if more is
        told of the student."""
        fits = [self._fits(key) | self._by_bare_key.get(key, set()) for key in self._standing(text)[0]]
        return set() if {student} in fits else set().union(*fits) - {student}

    def may_be(self, hints: Sequence[str]) -> list[str]:
        """Find all who are called by the first of these hints that is anybody's name."""
        return sorted(next(filter(None, (self._people(_key(hint)) for hint in hints)), set()))

    def is_called(self, text: str, student: str) -> bool:
        """Whether a name is all of a student's, and not their id."""
        return _bare(_key(text)) in {*map(_bare, _keys(_names(self._persons[student])))}

    def find(self, hints: Iterable[str]) -> tuple[str, int]:
        """Look a sender up.

        Args:
            hints: what a path tells of the sender, ids before names.

        Returns:
            The student's id, empty if unknown; and how many students the best hint fits.
        """
        fits: set[str] = set()
        for hint in hints:
            found = self._people(_key(hint))
            fits = (fits & found) or fits or found
            if len(fits) == 1:
                return next(iter(fits)), 1
        return "", len(fits)

    def named(self, text: str) -> frozenset[str]:
        """Find who stands in a name beside other words: `Gruppe 3 - Doe, Jane (late)`.

        Args:
            text: the name of a file or folder.

        Returns:
            The ids of those whose full name, id or e-mail stands there whole; the longest counts where they overlap, and of several with one name whoever is
            told by more.
        """
        found = self._standing(text)[0].values()
        certain = frozenset().union(*(people for people in found if len(people) == 1))
        return frozenset().union(*((people & certain) or people for people in found))

    def may_have(self, number: str, name: str) -> bool:
        """Whether a platform's number tells who somebody is, and is not another's id at the school by chance.

        Args:
            number: the platform's, of its own making.
            name: what the platform calls them.

        Returns:
            Whether the class list has it as the platform's, or whoever has it here may go by the name: no other is known, or a word of it is in there.
        """
        people = [self._persons[student] for student in self._people(_key(number))]
        return any(
            number == person.number
            or person.name == person.id
            or any(_is_telling(word) and _bare(word) in _bare(_key(name)) for word in _words(person.name))
            for person in people
        )

    def beside(self, text: str, student: str, lesson: str = "") -> list[str]:
        """Find what speaks against a student of whom no more than the id stands in a name: `roe` in `Anna Roe` for the id `anna`.

        Args:
            text: the name of a file or folder.
            student: who stands in it.
            lesson: whose words are nobody's name.

        Returns:
            The words that may be a name and are none of the student's; none where the full name or the e-mail stands there. Beside an id that is
            nobody's name (`jdoe`, `s123456`), those that are another's name in the class: a remark may be any word.
        """
        found, rest = self._standing(text)
        person = self._persons[student]
        names = [*_names(person), *_shortened(person)]
        whole = [person.email, *(names if person.first_name and person.last_name else [])]
        if {*map(_bare, found)} & {*map(_bare, _keys(whole))}:
            return []
        known = [
            spelled
            for called in (*_called(person), *_shortened(person), lesson)
            for spelled in _spelled(called)
        ]
        own = {_bare(word) for called in known for word in _words(called)}
        is_name = any(map(self._is_name, found))
        return [
            unicodedata.normalize("NFC", word)
            for word in rest
            if (is_name or _bare(word) in self._by_part)
            and not is_remark(word)
            and not any(o == _bare(word) or (len(word) == 1 and o.startswith(word)) for o in own)
        ]

    def _standing(self, text: str) -> tuple[dict[str, set[str]], list[str]]:
        """What of a name is whose, the longest first; and the other words."""
        if whole := self._people(_key(text)):
            return {_key(text): whole}, []
        words = _words(text[:LONGEST])
        found: dict[str, set[str]] = {}
        taken: set[int] = set()
        for length in range(_WINDOW, 0, -1):
            for start in range(len(words) - length + 1):
                span = range(start, start + length)
                key = "".join(words[start : start + length])
                if taken.isdisjoint(span) and _is_telling(key) and (people := self._people(key)):
                    found[key] = people
                    taken.update(span)
        return found, [word for at, word in enumerate(words) if at not in taken]

    def _is_name(self, key: str) -> bool:
        """Whether it may be anybody's name, too: `anna`, or `max` of a Maximilian; not `jdoe` or `s123456`."""
        return any(_bare(key) in part for part in self._by_part) or not self._by_part

    def _people(self, key: str) -> set[str]:
        """Whose key it is; of several, the one whose whole name it is: `Jan Novák` is not Jan Peter Novák where there is a Jan Novák."""
        people = self._fits(key)
        if len(people) < 2:
            return people
        whole = {p for p in people if _bare(key) in map(_bare, _keys(_called(self._persons[p])))}
        return whole if len(whole) == 1 and self.is_called(key, *whole) else people

    def _fits(self, key: str) -> set[str]:
        """Whose key it may be; if nobody's, whose it is without accents, or with some umlauts spelled out: `José` finds `Jose`, and never `Hạ`
        where there is a `Hà`."""
        spelled = _key(_spelled(key)[1])
        return self._by_key.get(key) or self._by_bare_key.get(_bare(key)) or self._by_key.get(spelled, set())


def _is_telling(key: str) -> bool:
    """Whether an id or name is long enough to be looked for among other words: not `1` in `Version 1`."""
    return len(key) > (4 if key.isdigit() else 2)


def read_roster(path: Path | None) -> Roster:
    """Read a class list: id, first_name, last_name, email, or whatever a platform calls these columns.

    Args:
        path: a CSV file or an Excel workbook; None is the empty roster.

    Returns:
        The roster; ids are made safe for folders.

    Raises:
        CourseError: if no column tells who a student is, two lines have one id, or nobody is on it.
    """
    if path is None:
        return Roster([])
    table = read_table(path)
    if not _fields(table.columns):
        found = ", ".join(map(repr, table.columns))
        raise CourseError(
            f"{path}: line 1 should name the columns ({_EXPECTED}), the students follow from line 2 on; but line 1 is {found}. "
            f"If that is a student, put the line {_EXPECTED} above it"
        )
    people: dict[str, Person] = {}
    for number, row in table.rows:
        if not _is_students(row):
            continue
        person = person_of(row)
        if person is None:
            found = ", ".join(repr(value) for value in row.values() if value)
            raise CourseError(f"{path}, line {number}: no id, e-mail or name, only {found}")
        twin = people.get(person.id.casefold())
        if twin:
            raise CourseError(
                f"{path}, line {number}: the id {person.id!r} of {person.name} is that of {twin.name} already: give each an own id"
            )
        people[person.id.casefold()] = person
    if not people:
        raise CourseError(f"{path} names columns and no student: export the class list again")
    return Roster(list(people.values()))


def _plain(column: str) -> str:
    """A column's name without case, accents and signs: `Prénom` -> `prenom`."""
    return "".join(c for c in unicodedata.normalize("NFKD", slug(column)) if not unicodedata.combining(c))


def _fields(columns: Iterable[str]) -> dict[str, str]:
    """For each column that says something of a student, what: an id's rank, a name or the e-mail.

    `Name` beside `Vorname` is the family name, `Nome` beside `Cognome` the given one.
    """
    told = {column: _plain(column) for column in columns}
    fields = {
        column: next((field for field, spellings in _COLUMNS.items() if name in spellings.split()), name)
        for column, name in told.items()
    }
    fields = {c: f for c, f in fields.items() if f in _COLUMNS or f in _IDS}
    given, family = (field in fields.values() for field in ("first_name", "last_name"))
    if given != family:
        part = "last_name" if given else "first_name"
        short = ("name", "nom", "nombre", "nome")
        fields = {c: part if f == "name" and told[c] in short else f for c, f in fields.items()}
    return fields


def _is_students(row: Mapping[str, str]) -> bool:
    """Whether a line is a student's: not one of those that Canvas's gradebook mixes in, nor its test student."""
    told = _canvas(row)
    if not told:
        return True
    name = told["student"].strip()
    test = name in ("Student, Test", "Test Student") and not told.get("sis_user_id")
    return bool(name) and not test and not name.startswith("Points Possible")


def _canvas(row: Mapping[str, str]) -> dict[str, str]:
    """A line of the gradebook that Canvas exports; empty if it is of another list."""
    told = {_plain(column): value for column, value in row.items()}
    return told if {"student", "section"} <= told.keys() else {}


def person_of(row: Mapping[str, str]) -> Person | None:
    """Read one line; None if it names nobody."""
    known: dict[str, str] = {}
    for column, field in _fields(row).items():
        if row[column]:
            known.setdefault(field, row[column])
    ids = [known[field].lstrip("#") for field in _IDS if field in known]
    name = known.get("name", "") or (
        known["identifier"] if re.search(r"\w[, ]+\w", known.get("identifier", "")) else ""
    )
    last, comma, first = name.partition(",")
    if not comma:
        first, _, last = name.rpartition(" ")
    first, last = known.get("first_name", first.strip()), known.get("last_name", last.strip())
    email = known.get("email", "") or next((i for i in ids if "@" in i), "")
    identity = next(iter(ids), "") or email.partition("@")[0] or f"{first} {last}".strip()
    number = _canvas(row).get("id", "")
    return Person(safe_id(identity), first, last, email, tuple(ids), number) if identity else None


def _called(person: Person) -> list[str]:
    """What a platform may call a person."""
    return [person.id, person.email.partition("@")[0], *person.aliases, person.email, *_names(person)]


def _names(person: Person) -> list[str]:
    """A person's name in either order, with all first names."""
    return [f"{person.first_name} {person.last_name}", f"{person.last_name} {person.first_name}"]


def _shortened(person: Person) -> list[str]:
    """A person's name in either order, with one first name."""
    one = person.first_name.partition(" ")[0]
    return [f"{one} {person.last_name}", f"{person.last_name} {one}"]


def _keys(texts: Iterable[str]) -> set[str]:
    """Texts in the form that is compared, with umlauts and spelled out."""
    return {_key(spelled) for text in texts for spelled in _spelled(text)} - {""}


def _spelled(text: str) -> tuple[str, str]:
    return text, unicodedata.normalize("NFC", text).translate(_SPELLED_OUT)


def _key(text: str) -> str:
    """A name without case, blanks and punctuation: `Doe, José` -> `doejosé`."""
    return "".join(_words(text))


def _words(text: str) -> list[str]:
    """The words of a name without case; a mark belongs to its letter, in many scripts it is the vowel."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).casefold())
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in plain)
    return [word for word in kept.split() if any(map(str.isalnum, word))]


def _bare(key: str) -> str:
    """A key without the marks and strokes that many leave out: `doejosé` -> `doejose`, `đỗ` -> `do`."""
    return "".join(c for c in key if unicodedata.combining(c) not in _LEFT_OUT).translate(_STROKES)
