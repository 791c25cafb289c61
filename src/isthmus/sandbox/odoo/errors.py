"""The errors an Odoo server answers with: their names, statuses and body."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, ClassVar


class OdooError(Exception):
    """An error Odoo raises on purpose; `name` is what clients decide by."""

    name: ClassVar[str] = "odoo.exceptions.UserError"
    status: ClassVar[int] = 422

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UserError(OdooError):
    """The request makes no sense in the record's state."""


class ValidationError(OdooError):
    """A constraint refused the values."""

    name = "odoo.exceptions.ValidationError"


class ConstraintError(ValidationError):
    """The database refused the values; `bare` is the text without the opening sentence, as `load` reports it."""

    def __init__(self, bare: str) -> None:
        super().__init__(f"The operation cannot be completed: {bare}")
        self.bare = bare


class AccessError(OdooError):
    """The user may not do this."""

    name = "odoo.exceptions.AccessError"
    status = 403


class AccessDenied(OdooError):
    """The login or key is wrong (the older protocols)."""

    name = "odoo.exceptions.AccessDenied"
    status = 403

    def __init__(self, message: str = "Access Denied") -> None:
        super().__init__(message)


class MissingError(OdooError):
    """The record is not there."""

    name = "odoo.exceptions.MissingError"
    status = 404


class HttpError(OdooError):
    """An error of the web layer; its body also carries the status."""

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})


class BadRequest(HttpError):
    """The body is no JSON."""

    name = "werkzeug.exceptions.BadRequest"
    status = 400


class Unauthorized(HttpError):
    """No key, or one that is not known or expired."""

    name = "werkzeug.exceptions.Unauthorized"
    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, {"WWW-Authenticate": "Bearer"})


class NotFound(HttpError):
    """No such model, method or path."""

    name = "werkzeug.exceptions.NotFound"
    status = 404


class UnprocessableEntity(HttpError):
    """The arguments do not fit the method."""

    name = "werkzeug.exceptions.UnprocessableEntity"
    status = 422


class DatabaseUnreachable(Exception):
    """What psycopg2 says about a database that does not exist (the older protocols)."""

    def __init__(self, database: str) -> None:
        super().__init__(f'connection to server failed: FATAL:  database "{database}" does not exist\n')


def error_body(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and JSON body for any exception; everything unforeseen is a 500 `builtins.X`."""
    debug = "".join(traceback.format_exception(error))
    if isinstance(error, OdooError):
        arguments: list[Any] = [error.message, error.status] if isinstance(error, HttpError) else [error.message]
        body = {"name": error.name, "message": error.message, "arguments": arguments, "context": {}, "debug": debug}
        return error.status, body
    name = f"{type(error).__module__}.{type(error).__name__}"
    if isinstance(error, DatabaseUnreachable):
        name = "psycopg2.OperationalError"
    message = str(error.args[0]) if len(error.args) == 1 else str(error)
    return 500, {"name": name, "message": message, "arguments": list(error.args), "context": {}, "debug": debug}


def missing(model: str, record_id: Any, uid: int) -> MissingError:
    """Return the error for a record that does not exist."""
    return MissingError(f"Record does not exist or has been deleted.\n(Record: {model}({record_id},), User: {uid})")


def in_use(model_title: str, model: str, field_title: str, field: str) -> ConstraintError:
    """Return the error of a violated foreign key: Odoo words it as a deletion, also for a wrong many2one id."""
    return ConstraintError(
        "Another model is using the record you are trying to delete.\n\n"
        f"The troublemaker is: '{model_title}' ({model})\n"
        f"Thanks to the following constraint: '{field_title}' ({field})\n"
        "How about archiving the record instead?"
    )


def dangling_link(table: str) -> ConstraintError:
    """Return the error of a many2many id that does not exist."""
    return ConstraintError(
        "Another model is using the record you are trying to delete.\n\nThe troublemaker is: Unknown\n"
        f"Thanks to the following constraint: {table}_fkey\nHow about archiving the record instead?"
    )


def mandatory(model_title: str, model: str, field_title: str, field: str) -> ConstraintError:
    """Return the error of a required field left empty."""
    return ConstraintError(
        f"Missing required value for the field '{field_title}' ({field}).\n"
        f"Model: '{model_title}' ({model})\n- create/update: a mandatory field is not set\n"
        "- delete: another model requires the record being deleted, you can archive it instead\n"
    )
