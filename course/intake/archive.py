"""Keep what was downloaded, and walk through it: folders, zips and tars, packed or not, and these within each other.

Nothing is ever unpacked to disk. An archive's members are read one at a time, within limits, so
that no path in it can lead anywhere and no bomb can go off.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import itertools
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from course.model import CourseError
from course.zone import stamped, zoned

MB = 1024 * 1024
BY_HAND = "by hand"
_JUNK = {".ds_store", "thumbs.db", "desktop.ini", "__macosx", ".git", "__pycache__", ".venv", "node_modules"}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_AT, _TAR = 257, b"ustar"
COPYING = ".copying"  # begins the name of a folder of `downloaded/` in which a copy is being made
_CROWD = "its zip holds more files than the limit"
_REFUSED = "refused, it is a symbolic link or no regular file"


@dataclass(frozen=True)
class Limits:
    """What may be read. A zip within a download is a student's, so its limits are narrow.

    Args:
        file_bytes: of one file, unpacked.
        class_bytes, class_members: of one download.
        student_bytes, student_members: of one zip within a download, all its own zips included.
        ratio: of unpacked to packed size, for files of more than 16 MB.
        depth: zips within zips within the download.
    """

    file_bytes: int = 64 * MB
    class_bytes: int = 16 * 1024 * MB
    class_members: int = 100_000
    student_bytes: int = 256 * MB
    student_members: int = 2_000
    ratio: int = 200
    depth: int = 2


@dataclass(frozen=True)
class Found:
    """One file of a download.

    Args:
        path: from the download's name on, through archives.
        data: its bytes; None if it was not or could not be read.
        time: when it was last changed, in UTC or in the zone that was assumed; None if unknown.
        problem: why it could not be read; empty if it could.
    """

    path: PurePosixPath
    data: bytes | None
    time: datetime | None
    problem: str = ""


class _TooMuch(Exception):
    """A limit was passed; the message says which."""


@dataclass
class _Budget:
    """Bytes and members that an archive may still give, and whether a student made it."""

    bytes: int
    members: int
    student: bool

    def spend(self, size: int) -> None:
        self.bytes -= size
        if self.bytes < 0:
            raise _TooMuch("its archive unpacks to more than the limit")


def keep(source: Path, downloads: Path, student: str = "", lesson: str = "") -> Path:
    """Copy what was downloaded, as it is, to a folder of its own; the same content only once.

    Args:
        source: a file or a folder.
        downloads: where downloads are kept.
        student: if given, everything in `source` is this student's, handed in by hand.
        lesson: if given, the lesson it is for.

    Returns:
        The copy: `downloads/<name>-<digest>/<name>`.

    Raises:
        CourseError: if there is no such file or folder.
    """
    if not source.exists():
        raise CourseError(f"there is nothing to collect at {source}")
    source, downloads = source.resolve(), downloads.resolve()
    if source == downloads or downloads in source.parents or source in downloads.parents:
        raise CourseError(
            f"{source} holds or lies in {downloads}, where the originals are kept: collect from another folder"
        )
    try:
        name = f"{source.stem or source.name}-{_digest(source, student, lesson)}"
    except OSError as error:
        raise CourseError(
            f"{error.filename or source} cannot be read ({error.strerror or error}): nothing was taken from {source}; mend that and collect again"
        ) from error
    if student:
        target = downloads.joinpath(
            BY_HAND, name, _part(student, "student"), _part(lesson, "lesson") if lesson else "", source.name
        )
    else:
        target = downloads / name / source.name
    if target.exists():
        if student:
            os.utime(downloads / BY_HAND / name)  # named once more, it is the last that was named
        return target
    sweep(downloads)
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=COPYING, dir=downloads))
        try:
            _copy(source, fresh / source.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            (fresh / source.name).replace(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise CourseError(
            f"{source} cannot be copied to {target.parent} ({error.strerror or error}: {error.filename or source}): nothing was taken from it; mend that and collect again"
        ) from error
    return target


def is_by_hand(file: str, downloads: Path) -> bool:
    """Whether a file, as the triage says it, lies in a folder that `keep` made for what is handed in by hand."""
    return bool(file) and (downloads / BY_HAND / PurePosixPath(file).parts[0]).is_dir()


def put_aside(target: Path, attic: Path) -> None:
    """Move a folder to where nothing looks at it, and where it is not lost.

    Args:
        target: the folder.
        attic: where it goes, under a name that is free there.
    """
    attic.mkdir(parents=True, exist_ok=True)
    target.replace(vacant(attic / target.name))


def vacant(place: Path) -> Path:
    """A name that nothing has yet: this one, or with a number behind it."""
    names = (place.with_name(f"{place.name} ({number})") for number in itertools.count(2))
    return next(name for name in itertools.chain([place], names) if not name.exists())


def _copy(source: Path, target: Path) -> None:
    """Copy content and times; what may be read and written is this machine's matter: a copy of a read-only folder is not."""
    if source.is_dir():
        target.mkdir()
        for entry in sorted(source.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                _copy(entry, target / entry.name)
            elif entry.is_symlink():
                (target / entry.name).symlink_to(os.readlink(entry))
            elif entry.is_file():
                _copy(entry, target / entry.name)
    else:
        shutil.copyfile(source, target)
    info = source.stat()
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


def sweep(downloads: Path) -> None:
    """Remove the beginnings of copies that killed runs left, read-only ones included; whoever calls it holds the classroom's pen.

    Args:
        downloads: where downloads are kept; older versions copied further down, beside what was collected.
    """
    for above in ("", "*/", f"{BY_HAND}/*/*/", f"{BY_HAND}/*/*/*/"):
        for left in [path for path in downloads.glob(f"{above}{COPYING}*") if not path.is_symlink()]:
            with contextlib.suppress(OSError):
                for folder, _, _ in os.walk(left):
                    os.chmod(folder, 0o700)
                shutil.rmtree(left)


def _part(name: str, what: str) -> str:
    """Refuse a name that is no single folder's name."""
    if name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise CourseError(f"the {what} {name!r} is no folder's name: it must not hold a slash")
    return name


def _digest(source: Path, *more: str) -> str:
    """Eight hex digits of a file's or folder's content."""
    digest = hashlib.sha256("\0".join(more).encode())
    files = (
        sorted(p for p in source.rglob("*") if p.is_file() and not p.is_symlink())
        if source.is_dir()
        else [source]
    )
    for path in files:
        digest.update(
            f"\0{path.relative_to(source.parent)}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape")
        )
        with path.open("rb") as file:
            while block := file.read(MB):
                digest.update(block)
    return digest.hexdigest()[:8]


def walk(
    root: Path, limits: Limits, zone: tzinfo | None, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[Found]:
    """Go through a download, in order of the paths.

    Args:
        root: a file or folder; its own name opens every path.
        limits: what may be read.
        zone: the time zone of the times in zips, which tell none; None is this machine's.
        wanted: takes a name; a file or zip that it does not want is left alone.

    Yields:
        Every file but the litter of operating systems, the refused ones with their reason.
    """
    yield from _Walk(limits, zone, wanted).start(root)


def _opened(file: BinaryIO) -> tuple[str, BinaryIO]:
    """What kind of archive a file is, "zip" or "tar", and what is read for it; "" if none. Packed tars are unpacked as they are read."""
    head = file.read(6)
    file.seek(0)
    if head[:4] in _ZIP:
        return "zip", file
    packed = next((opened for magic, opened in _PACKED.items() if head.startswith(magic)), None)
    inside: BinaryIO = packed(file) if packed else file
    with contextlib.suppress(Exception):  # damaged, or no archive at all: said where it is decoded
        if inside.read(_TAR_AT + len(_TAR))[_TAR_AT:] == _TAR:
            file.seek(0)
            return "tar", packed(file) if packed else file
    file.seek(0)
    return "", file


class _Xz(io.RawIOBase):
    """An xz file, unpacked as it is read, within a limit of memory: its header may ask for gigabytes."""

    def __init__(self, file: BinaryIO):
        self._file, self._xz = file, lzma.LZMADecompressor(memlimit=256 * MB)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._xz.eof:
            more = self._file.read(65_536) if self._xz.needs_input else b""
            if self._xz.needs_input and not more:
                raise EOFError("it is cut off")
            data = self._xz.decompress(more, len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _xz(file: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Xz(file))


_PACKED: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": _xz,
}


class _Metered(io.RawIOBase):
    """What is unpacked, counted: a member that is passed over costs what one that is read costs."""

    def __init__(self, file: BinaryIO, budget: _Budget):
        self._file, self._budget = file, budget

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._budget.spend(len(data))
        return data


def _files(root: Path) -> Iterator[Path]:
    """All entries below a folder that are no folders, links not followed; a file is its own only entry."""
    if root.is_symlink() or not root.is_dir():
        yield root
        return
    for folder, folders, names in os.walk(root):
        yield from (Path(folder, name) for name in names)
        yield from (Path(folder, name) for name in folders if Path(folder, name).is_symlink())


@dataclass(frozen=True)
class _Walk:
    """One walk through one download."""

    limits: Limits
    zone: tzinfo | None
    wanted: Callable[[str], bool]

    def start(self, root: Path) -> Iterator[Found]:
        """Go through a file or folder."""
        for path in sorted(_files(root)):
            inner = PurePosixPath(root.name, *path.relative_to(root).parts)
            info = path.lstat()
            time = stamped(info.st_mtime)
            if _is_junk(inner) or (path != root and not self.wanted(path.name)):
                continue
            if not stat.S_ISREG(info.st_mode):
                yield Found(inner, None, time, _REFUSED)
            else:
                yield from self.regular(path, inner, info.st_size, time, student=path != root)

    def regular(
        self, path: Path, inner: PurePosixPath, size: int, time: datetime | None, student: bool
    ) -> Iterator[Found]:
        """Read a file, or go through it where it is an archive."""
        try:
            with path.open("rb") as file:
                kind, content = _opened(file)
                if kind:
                    yield from self.archive(
                        kind, content, inner, time, self.budget(student), self.limits.depth
                    )
                elif size > self.limits.file_bytes:
                    yield Found(inner, None, time, _too_large(size, self.limits))
                else:
                    yield Found(inner, file.read(), time)
        except OSError as error:
            yield Found(inner, None, time, f"it cannot be read here: {error.strerror or error}")

    def budget(self, student: bool) -> _Budget:
        """What a zip may give: the download itself, or one that a student made."""
        limits = self.limits
        if student:
            return _Budget(limits.student_bytes, limits.student_members, student)
        return _Budget(limits.class_bytes, limits.class_members, student)

    def archive(
        self,
        kind: str,
        file: BinaryIO,
        path: PurePosixPath,
        time: datetime | None,
        budget: _Budget,
        depth: int,
    ) -> Iterator[Found]:
        """Go through an archive; what is wrong with the whole of it becomes one `Found` of its own.

        Times within a student's archive are the student's to choose: there the archive's own time counts.
        """
        try:
            through = self.zip if kind == "zip" else self.tar
            yield from through(file, path, time, budget, depth)
        except Exception as error:  # zipfile, tarfile, zlib, bz2 and lzma each raise errors of their own
            yield Found(path, None, time, f"a {kind} that cannot be read: {error or type(error).__name__}")

    def zip(
        self, file: BinaryIO, path: PurePosixPath, time: datetime | None, budget: _Budget, depth: int
    ) -> Iterator[Found]:
        """Go through a zip."""
        _refuse_a_crowd(file, budget)
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if {"[Content_Types].xml", "mimetype"} & {m.filename for m in members}:
                yield Found(path, None, time, "an office document, not a notebook")
                return
            budget.members -= sum(not _is_junk(PurePosixPath(_name(m))) for m in members)
            if budget.members < 0:
                raise _TooMuch(_CROWD)
            for member in sorted(members, key=_name):
                when = time if budget.student else _time(member, self.zone)
                yield from self.member(archive, member, path, when, budget, depth)

    def tar(
        self, file: BinaryIO, path: PurePosixPath, time: datetime | None, budget: _Budget, depth: int
    ) -> Iterator[Found]:
        """Go through a tar, in the order in which it was packed."""
        metered: Any = _Metered(file, budget)
        with tarfile.open(fileobj=metered, mode="r|", errorlevel=0) as archive:
            for member in archive:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                inner = path.joinpath(*parts)
                if member.isdir() or _is_junk(inner) or not self.wanted(inner.name):
                    continue
                budget.members -= 1
                if budget.members < 0:
                    raise _TooMuch(_CROWD)
                when = time if budget.student else stamped(member.mtime)
                if problem := _refusal_in_tar(member, parts, self.limits):
                    yield Found(inner, None, when, problem)
                    continue
                opened = archive.extractfile(member)
                data = opened.read() if opened else b""
                yield from self.content(data, inner, when, budget, depth)

    def content(
        self, data: bytes, inner: PurePosixPath, time: datetime | None, budget: _Budget, depth: int
    ) -> Iterator[Found]:
        """Give one member of an archive, or go through it where it is an archive itself."""
        kind, content = _opened(io.BytesIO(data))
        if not kind:
            yield Found(inner, data, time)
        elif depth == 0:
            yield Found(inner, None, time, f"a zip within more than {self.limits.depth} zips")
        else:
            its_own = budget if budget.student else self.budget(student=True)
            yield from self.archive(kind, content, inner, time, its_own, depth - 1)

    def member(
        self,
        archive: zipfile.ZipFile,
        member: zipfile.ZipInfo,
        path: PurePosixPath,
        time: datetime | None,
        budget: _Budget,
        depth: int,
    ) -> Iterator[Found]:
        """Read one member of a zip, or go through it where it is a zip itself."""
        name = _name(member).replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        inner = path.joinpath(*parts)
        if _is_junk(inner) or not self.wanted(inner.name):
            return
        if problem := _refusal(member, name, parts, self.limits):
            yield Found(inner, None, time, problem)
            return
        try:
            with archive.open(member) as opened:
                data = opened.read(self.limits.file_bytes + 1)
        except Exception as error:
            yield Found(inner, None, time, f"the zip is damaged here: {error or type(error).__name__}")
            return
        budget.spend(len(data))
        yield from self.content(data, inner, time, budget, depth)


def _refuse_a_crowd(file: BinaryIO, budget: _Budget) -> None:
    """Refuse a zip by the size of its directory, before that is read into memory."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end >= 0 and int.from_bytes(tail[end + 12 : end + 16], "little") > 600 * max(1, budget.members):
        raise _TooMuch(_CROWD)


def _refusal(member: zipfile.ZipInfo, name: str, parts: list[str], limits: Limits) -> str:
    """Why a member is not read; empty if it may be."""
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return _REFUSED
    if ".." in parts or name.startswith("/") or (parts and parts[0].endswith(":")):
        return "refused, its path leads out of the zip"
    if member.flag_bits & 1:
        return "it is locked with a password"
    if member.file_size > limits.file_bytes:
        return _too_large(member.file_size, limits)
    if member.file_size > 16 * MB and member.file_size > limits.ratio * max(1, member.compress_size):
        return f"refused, it unpacks to more than {limits.ratio} times its size"
    return ""


def _refusal_in_tar(member: tarfile.TarInfo, parts: list[str], limits: Limits) -> str:
    """Why a member is not read; empty if it may be."""
    if not member.isfile():
        return _REFUSED
    if ".." in parts or member.name.startswith("/"):
        return "refused, its path leads out of the tar"
    return _too_large(member.size, limits) if member.size > limits.file_bytes else ""


def _too_large(size: int, limits: Limits) -> str:
    return f"too large: {size / MB:.0f} MB, the limit is {limits.file_bytes / MB:.0f} MB (clear the outputs and save again)"


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name; UTF-8 that its zip did not declare is recognised."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _time(member: zipfile.ZipInfo, zone: tzinfo | None) -> datetime | None:
    """When a member was last changed; None where the zip does not say (its year is 1980)."""
    try:
        local = datetime(*member.date_time)
        return None if local.year == 1980 else zoned(local, zone)
    except ValueError:
        return None


def _is_junk(path: PurePosixPath) -> bool:
    """Tell litter that an operating system leaves from files that a person made."""
    return path.name.startswith("._") or any(part.lower() in _JUNK for part in path.parts)
