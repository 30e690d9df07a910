"""Gradescope: `assignment_1_export/submission_42/x.ipynb`; who and when stands in `submission_metadata.yml` beside the folders."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import yaml

from course.intake.claim import NOTE_BYTES, Claim, Notes, Place, Platform, moment

_LIST = "submission_metadata.yml"
_FOLDER = re.compile(r"submission_\d+")
_EXPORT = re.compile(r"assignment_\d+_export")
_DEPTH = 30
_NO = ("", "0", "0.0", "~", "no", "false", "null", "nil")
_Loader: Any = getattr(
    yaml, "CBaseLoader", yaml.BaseLoader
)  # every scalar is text, tags and `<<` mean nothing


class Gradescope(Platform):
    """One folder a submission, of one person or a group."""

    def claims(self, place: Place, notes: Notes) -> list[Claim]:
        """See `Platform.claims`."""
        if not _FOLDER.fullmatch(place.part):
            return []
        people, problem = _people(notes.texts.get(place.above / _LIST))
        entry = people.get(place.part)
        if not isinstance(entry, dict):
            return [Claim("Gradescope", "", place.part, sure=False, doubt=problem)]
        time, late = moment(_text(entry, "created_at")), _text(entry, "late") or _text(entry, "lateness")
        submitters = _value(entry, "submitters")
        claims = []
        for person in submitters if isinstance(submitters, list) else []:
            if isinstance(person, dict):
                hints = tuple(_text(person, key) for key in ("sid", "email", "name"))
                label = next(filter(None, hints), "")
                claims.append(
                    Claim("Gradescope", label, label, "", hints, time=time, late=late.lower() not in _NO)
                )
        return claims or [Claim("Gradescope", "", place.part, sure=False)]

    def wraps(self, folder: str) -> bool:
        """See `Platform.wraps`."""
        return bool(_EXPORT.fullmatch(folder))

    def is_note(self, path: PurePosixPath) -> bool:
        """See `Platform.is_note`: the list lies beside the submissions, never in one."""
        return path.name == _LIST and not any(map(_FOLDER.fullmatch, path.parts))


@lru_cache(maxsize=4)
def _people(text: str | None) -> tuple[dict[str, Any], str]:
    """Read the list of submissions; else say why not.

    Every scalar is text. Anchors and aliases, by which 500 bytes become gigabytes, are not Gradescope's.
    """
    if text is None:
        return {}, ""
    try:
        if len(text) > NOTE_BYTES:
            raise ValueError(f"it is longer than {NOTE_BYTES // 1_000_000} MB")
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH or isinstance(event, yaml.AliasEvent):
                raise ValueError("it is nested too deeply or repeats itself by aliases")
        content = yaml.load(text, Loader=_Loader)  # a BaseLoader: builds dicts, lists and texts only
        if not isinstance(content, dict):
            raise ValueError("it lists no submissions")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        return (
            {},
            f"Gradescope's {_LIST} cannot be read ({reason}): export again, or collect each with --student",
        )
    return content, ""


def _value(mapping: dict[str, Any], key: str) -> Any:
    """A value of the metadata, whose keys are Ruby symbols or plain."""
    return mapping.get(f":{key}", mapping.get(key))


def _text(mapping: dict[str, Any], key: str) -> str:
    value = _value(mapping, key)
    return value if isinstance(value, str) else ""


PLATFORM = Gradescope()
