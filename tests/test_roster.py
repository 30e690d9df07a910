"""Class lists as platforms and spreadsheets write them, and tables that no spreadsheet runs."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from course.csvfile import escape, read_csv, read_table, unescape, write_csv
from course.intake.roster import Person, Roster, read_roster, safe_id
from course.model import CourseError

ANNA = ("Anna", "Müller")


def people_of(tmp_path, data: bytes | str, name: str = "r.csv") -> list:
    """Read a class list with these bytes."""
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_roster(path).people


def workbook(rows) -> bytes:
    """An Excel workbook with these rows on its first sheet."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("another").append(["nothing", "here"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


# Class 9: rosters


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Lesson 1 (123)
{posting}    Points Possible,,,,,18
"Müller, Anna",4711,a01,amueller,Sec 1,
"O'Neil-Lee, Sam",4712,a02,slee,Sec 1,
"Student, Test",99,,abcdef0123,Sec 1,
"""


@pytest.mark.parametrize("posting", ["", ",,,,,Manual Posting\n"])
def test_class_09_canvas_gradebook(tmp_path, posting):
    roster = Roster(people_of(tmp_path, CANVAS.format(posting=posting)))
    assert [(p.id, p.name) for p in roster.people] == [("a01", "Anna Müller"), ("a02", "Sam O'Neil-Lee")]
    for hint in ("4711", "amueller", "a01", "mulleranna"):
        assert roster.find([hint]) == ("a01", 1), hint
    assert roster.find(["oneilleesam"]) == ("a02", 1) and roster.find(["99"]) == ("", 0)


def test_class_09_a_student_called_test_student_is_kept(tmp_path):
    listed = CANVAS.format(posting="") + '"Student, Test",98,a03,tstudent,Sec 1,\n'
    assert [p.id for p in people_of(tmp_path, listed)] == ["a01", "a02", "a03"]


def test_class_09_github_classroom(tmp_path):
    text = '"identifier","github_username","github_id","name"\n"Müller, Anna","annam","1",""\n"slee@example.org","","",""\n'
    roster = Roster(people_of(tmp_path, text))
    anna, sam = roster.people
    assert (anna.first_name, anna.last_name) == ANNA and roster.find(["annam"]) == (anna.id, 1)
    assert sam.email == "slee@example.org" and roster.find(["slee"]) == (sam.id, 1)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "\ufeffsep=;"])
def test_class_09_the_line_that_tells_excel_the_separator(tmp_path, first):
    text = f"{first}\r\nid;first_name;last_name\r\na,1;Anna;Müller\r\n"
    (person,) = people_of(tmp_path, text)
    assert (person.id, person.first_name, person.last_name) == ("a_1", *ANNA)


@pytest.mark.parametrize("name", ["class.xlsx", "class.csv"])
def test_class_09_excel_workbooks_by_whatever_name(tmp_path, name):
    rows = [
        ["ID number", "First name", "Surname"],
        [4711.0, *ANNA],
        [None, None, None],
        ["0815", "Sam", "Lee"],
    ]
    people = people_of(tmp_path, workbook(rows), name)
    assert [(p.id, p.name) for p in people] == [("4711", "Anna Müller"), ("0815", "Sam Lee")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + bytes(range(256)), "begins like an Excel workbook and cannot be read"),
        (workbook([["id"], ["a"]])[:900], "begins like an Excel workbook and cannot be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel workbook"),
        (b"%PDF-1.7\n%\xe2\xe3", "is a PDF"),
        (b"id,name\n\x00\x01\x02\x03,x\n", "is no text"),
    ],
    ids=["broken-zip", "cut-workbook", "old-workbook", "pdf", "bytes"],
)
def test_class_09_what_is_no_table_is_said_with_the_way_out(tmp_path, data, what):
    with pytest.raises(CourseError, match=re.escape(what)) as error:
        people_of(tmp_path, data)
    assert "r.csv" in str(error.value) and "save it as “CSV UTF-8”" in str(error.value)


@pytest.mark.parametrize(
    "header",
    [
        "First name,Surname,ID number,Email address",
        "First name,Last name,Student ID,Email",
        "Vorname,Nachname,ID-Nummer,E-Mail-Adresse",
        "Vorname,Nachname,Matrikelnummer,E-Mail",
        "Vorname,Name,Matrikelnummer,Mail",
        "Prénom,Nom de famille,Numéro d'identification,Adresse de courriel",
        "Prénom,Nom,Numéro d’identification,Courriel",
        "Nombre,Apellido(s),Número de ID,Dirección de correo",
        "Nombre,Apellidos,Número de ID,Dirección Email",
        "Nome,Cognome,Codice identificativo,Indirizzo email",
        "Nome,Sobrenome,Número de identificação,Endereço de email",
        "Voornaam,Achternaam,ID-nummer,E-mailadres",
        "First Name,Last Name,OrgDefinedId,Email",
        "FIRST NAME,LAST NAME,SID,EMAIL",
    ],
)
def test_class_09_columns_in_the_languages_of_the_platforms(tmp_path, header):
    (person,) = people_of(tmp_path, f"{header}\nAnna Maria,von der Müller,123456,anna@example.org\n")
    assert (person.id, person.first_name, person.last_name, person.email) == (
        "123456",
        "Anna Maria",
        "von der Müller",
        "anna@example.org",
    )


@pytest.mark.parametrize("header", ["Name", "Full name", "Nom complet", "Nombre completo", "Student", "Nome"])
@pytest.mark.parametrize("name", ["Anna Müller", '"Müller, Anna"'])
def test_class_09_full_names(tmp_path, header, name):
    (person,) = people_of(tmp_path, f"{header},id\n{name},a01\n")
    assert (person.id, person.first_name, person.last_name) == ("a01", *ANNA)


def test_class_09_brightspace_marks_ids_with_a_hash(tmp_path):
    text = "OrgDefinedId,Username,Last Name,First Name,Email,End-of-Line Indicator\n#4711,#amueller,Müller,Anna,a@example.org,#\n"
    roster = Roster(people_of(tmp_path, text))
    assert roster.people[0].id == "4711" and roster.find(["amueller"]) == ("4711", 1)


NAMES = ["Anna Müller", "José Núñez", "Åsa Öberg", "François Noël", "Zoë Groß", "Jürgen Schön", "Kai Kähler"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "mac_roman"]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_class_09_encodings_and_line_ends(tmp_path, encoding, ending, delimiter):
    for names in [NAMES, *([name] for name in NAMES)]:
        lines = [["id", "name"], *([f"a{n}", name] for n, name in enumerate(names))]
        people = people_of(tmp_path, (ending.join(map(delimiter.join, lines)) + ending).encode(encoding))
        assert [p.name for p in people] == names


@pytest.mark.parametrize(
    "text", ["amueller,Anna,Müller,a@example.org\nslee,Sam,Lee,s@example.org\n", "amueller,Anna,Müller\n"]
)
def test_class_09_no_header_at_all(tmp_path, text):
    with pytest.raises(CourseError) as error:
        people_of(tmp_path, text)
    assert "line 1 is 'amueller', 'Anna', 'Müller'" in str(error.value)
    assert "put the line id,first_name,last_name,email above it" in str(error.value)


def test_class_09_a_header_and_nobody(tmp_path):
    with pytest.raises(CourseError, match="names columns and no student"):
        people_of(tmp_path, "id,first_name\n")


def test_class_09_a_line_that_names_nobody_is_named_by_its_number(tmp_path):
    with pytest.raises(CourseError, match=r"line 5: no id, e-mail or name, only 'Group 3'"):
        people_of(tmp_path, "id,name,group\na1,Anna,1\n\n,,\n,,Group 3\n")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_file_is_read_or_refused_with_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "r.csv"
    path.write_bytes(data)
    try:
        assert read_roster(path).people
    except CourseError as error:
        assert "r.csv" in str(error)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Hà", "Hạ"), ("रमा", "राम"), ("รัก", "รุก"), ("חָנָה", "חֲנָה"), ("José", "Jose"), ("さだ", "さた")],
)
def test_class_09_names_that_differ_in_a_mark_are_two_people(one, other):
    roster = Roster([Person("1", one, "Trần"), Person("2", other, "Trần")])
    for student, name in (("1", one), ("2", other)):
        assert roster.find([f"{name} Trần"]) == (student, 1)
        assert roster.named(f"Gruppe 3 - Trần, {name} (late)") == {student}


def test_class_09_a_name_without_its_accents_is_found_and_may_be_that_of_two():
    people = [Person("1", "Hà", "Trần"), Person("2", "Hạ", "Trần"), Person("3", "José", "Núñez")]
    roster = Roster(people)
    assert roster.find(["Ha Tran"]) == ("", 2) and roster.named("Ha Tran 1") == {"1", "2"}
    for name in ("Jose Nunez", "José Nunez", "Nunez, Jose\u0301"):
        assert roster.find([name]) == ("3", 1), name
    assert Roster([Person("4", "احمد", "A")]).find(["أحمد A"]) == ("4", 1)


@pytest.mark.parametrize(
    ("first", "last", "names"),
    [
        ("Đức", "Đỗ", ["Do Duc", "Đuc Do"]),
        ("Łukasz", "Groß", ["Lukasz Gross", "Lukasz Groß"]),
        ("Søren", "Kjær", ["Soren Kjaer", "Soeren Kjær"]),
        ("Işıl", "Çağlar", ["Isil Caglar"]),
        ("Jürgen", "Müller", ["Juergen Müller", "Jürgen Mueller", "Jurgen Muller"]),
    ],
)
def test_class_09_a_name_without_its_strokes_or_with_one_umlaut_spelled_out_is_found(first, last, names):
    roster = Roster([Person("1", first, last), Person("2", "An", "Đặng"), Person("3", "An", "Dang")])
    for name in names:
        assert roster.find([name]) == ("1", 1) and roster.named(f"{name} (late)") == {"1"}, name
    assert [roster.find([name]) for name in ("An Đặng", "Dang An")] == [("2", 1), ("3", 1)]


# Class 26: formulas


EXCELS = [",", ";", "\t"]  # what separates fields, by the country


@pytest.mark.parametrize("separator", EXCELS)
@pytest.mark.parametrize(
    "name",
    [
        "x;=HYPERLINK(1)",
        "x;;=1+1",
        "x; =1+1",
        'x;"=1+1',
        "x\t@SUM(1)",
        "x\n=1+1",
        "x\r\n-1+1",
        "x;\t+1",
        "=1;=2",
        "x;'=1",
        "x;＝1",
    ],
)
def test_class_26_no_field_is_a_formula_whatever_separates(tmp_path, name, separator):
    write_csv(
        tmp_path / "t.csv", ["student", "name", "score"], [{"student": "a1", "name": name, "score": -1.5}]
    )
    text = (tmp_path / "t.csv").read_text(encoding="utf-8-sig")
    cells = [cell for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in line]
    formulas = [c for c in cells if re.match(r"[\s\"]*[=+\-@＝＋－＠]", c) and not re.match(r"-1\.5", c)]
    assert formulas == []
    assert read_csv(tmp_path / "t.csv") == [{"student": "a1", "name": name.strip(), "score": "-1.5"}]


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet="a;='\"\t\n\r -+@\0 ,")))
def test_class_26_escaped_fields_come_back(text):
    assert unescape(escape(text)) == text
    assert not re.search(r"[;\t\r\n][\"\s\x00]*[=+\-@＝＋－＠]", escape(text))


def test_class_26_ordinary_text_is_not_touched():
    for text in ("Doe, Jane", "a-b; c", "x = 1", "it's", "1; 2; 3", "say “a”; done"):
        assert escape(text) == text


# Ids and lines


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_an_id_stays_what_it_is(label):
    assert safe_id(safe_id(label)) == safe_id(label)


def test_rows_know_their_lines(tmp_path):
    (tmp_path / "t.csv").write_text('sep=,\nid,note\na,"two\nlines"\n\nb,x\n', encoding="utf-8")
    assert [(number, row["id"]) for number, row in read_table(tmp_path / "t.csv").rows] == [
        (4, "a"),
        (6, "b"),
    ]
