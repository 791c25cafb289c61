"""What the contract suite needs to try a described system: sample records, and which checks cannot be kept and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.connectors.rest.manifest import EntitySpec, FieldSpec, Manifest
from isthmus.connectors.rest.stand_in import logins
from isthmus.sdk import FieldType

_BY_EXTERNAL_KEY = (
    "a_record_is_found_by_its_external_key",
    "a_create_repeated_makes_one_record",
    "one_bad_record_stops_no_good_one",
    "a_lost_answer_is_unsure_and_sent_once",
)
_BY_CHANGES = (
    "changes_are_complete_keyed_and_ordered",
    "changes_resume_from_the_middle",
    "an_edit_after_the_cursor_is_seen",
)
_OPTIONAL = 4
"""How many fields that need not be given a sample has besides those that must."""


def scenario_of(manifest: Manifest) -> dict[str, Any]:
    """A scenario as plain data: settings, logins of the stand-in, and samples of every Entity that stands alone."""
    settings, secrets = logins(manifest)
    out: dict[str, Any] = {"settings": {"base_url": "{server}", **settings}}
    if _small_pages(manifest):
        out["settings"]["overrides"] = {"paging": {"size": 2}}
    if secrets:
        out |= {"secrets": secrets, "refused": dict.fromkeys(secrets, "not-the-secret-2")}
    skip: dict[str, str] = {}
    if manifest.auth.style == "none":
        skip["a_refused_login_is_told_as_one"] = "the system asks for no login"
    if manifest.idempotency.header is None:
        skip["the_idempotency_key_goes_over_the_wire"] = "the system takes no idempotency keys"
    if not manifest.changes.ordered:
        skip["changes_resume_from_the_middle"] = "lists come in any order, so a cursor moves only after a quiet walk"
    elif not _small_pages(manifest):
        skip["changes_resume_from_the_middle"] = "the size of a page cannot be chosen"
    if skip:
        out["skip"] = skip
    alone = {name: spec for name, spec in manifest.entities.items() if spec.parent is None}
    out["entities"] = {name: _entity(manifest, spec) for name, spec in alone.items()}
    return out


def _small_pages(manifest: Manifest) -> bool:
    return manifest.paging.style != "none" and manifest.paging.size_param is not None


def _entity(manifest: Manifest, spec: EntitySpec) -> dict[str, Any]:
    own = {spec.external_key, spec.key, spec.version, spec.created_at, spec.changed_at}
    open_fields = {name: one for name, one in spec.fields.items() if not one.readonly and name not in own}
    must = [name for name, one in open_fields.items() if one.required]
    plain = [name for name, one in open_fields.items() if not one.required and _is_plain(one)]
    sample = {name: _value(name, open_fields[name]) for name in [*must, *plain[:_OPTIONAL]]}
    key = spec.fields[spec.key].type
    out: dict[str, Any] = {"missing_key": "987654321" if key is FieldType.INTEGER else "no-such-key"}
    if spec.create is None or not sample:
        return out
    out["sample"] = sample
    texts = [name for name in sample if open_fields[name].type in (FieldType.STRING, FieldType.TEXT)]
    if spec.update is not None and texts:
        out["change"] = {texts[-1]: _fitting("New {n}", open_fields[texts[-1]])}
    left = [name for name in sample if name not in must] or must[1:]
    if must and left:
        out["bad"] = {left[0]: sample[left[0]]}
    if skip := _skip(manifest, spec):
        out["skip"] = skip
    return out


def _skip(manifest: Manifest, spec: EntitySpec) -> dict[str, str]:
    filters = spec.filters or manifest.filters
    out: dict[str, str] = {}
    if spec.external_key is None or not (filters.by_external_key or filters.by_external_keys):
        out |= dict.fromkeys(_BY_EXTERNAL_KEY, "no field keeps another system's key and finds the record by it")
    if spec.changed_at is None or not filters.updated_since:
        out |= dict.fromkeys(_BY_CHANGES, "lists cannot be filtered by the time of the change")
    return out


def _is_plain(spec: FieldSpec) -> bool:
    return spec.type not in (FieldType.OBJECT, FieldType.LIST, FieldType.ADDRESS, FieldType.REFERENCE, FieldType.BINARY)


def _value(name: str, spec: FieldSpec) -> Any:
    """A value that a field of this kind takes, as in JSON."""
    if spec.choices:
        return spec.choices[0]
    match spec.type:
        case FieldType.DECIMAL:
            return "12.50" if spec.scale is None or spec.scale >= 2 else "12"
        case FieldType.INTEGER:
            return 3
        case FieldType.BOOLEAN:
            return True
        case FieldType.DATE:
            return "2026-02-28"
        case FieldType.DATETIME:
            return "2026-02-28T10:30:00+00:00"
        case FieldType.LIST:
            return [_value(name, spec.items)] if spec.items else []
        case FieldType.OBJECT | FieldType.ADDRESS:
            return _inside(spec.fields)
        case _:
            return _text(name, spec)


def _inside(fields: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """An object with what it must hold, or with its first plain field."""
    must = [name for name, one in fields.items() if one.required and not one.readonly]
    plain = [name for name, one in fields.items() if _is_plain(one) and not one.readonly]
    return {name: _value(name, fields[name]) for name in must or plain[:1]}


def _text(name: str, spec: FieldSpec) -> str:
    if "mail" in name.lower():
        return "{n}@example.org"
    return _fitting(f"{name} {{n}}", spec)


def _fitting(text: str, spec: FieldSpec) -> str:
    """A text that fits with its number of ten characters, or a short one without."""
    if spec.max is None or len(text) + 7 <= spec.max:
        return text
    return "{n}" if spec.max >= 10 else "XXX"[: spec.max]
