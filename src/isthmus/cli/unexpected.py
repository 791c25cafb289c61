"""What nobody foresaw: one block on the screen, the whole story in a file."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from isthmus.errors import IsthmusError, Unavailable

SECRET_OPTIONS = ("--secret", "--admin", "--proof", "--api-key", "--client-secret", "--webhook-secret", "--admin-key")


def tell(error: Exception, arguments: Sequence[str]) -> None:
    """Print the block of an error that is none of ours and keep its traceback in the installation's folder."""
    from isthmus.cli.session import print_error

    print_error(as_told(error, arguments), as_json="--json" in arguments)


def as_told(error: Exception, arguments: Sequence[str]) -> IsthmusError:
    """The error in our own words; a traceback is written to a file that the hint names."""
    doing = f"running `isthmus {' '.join(without_secrets(arguments))}`"
    said = str(error).strip().splitlines()
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        answered = f"{error.strerror or type(error).__name__}: {error.filename}"
        return IsthmusError(doing, answered=answered, hint="Correct the path, then run it again.")
    if type(error).__name__ == "OperationalError":  # of psycopg or SQLAlchemy; neither is loaded for this
        return Unavailable(
            doing,
            answered=said[0] if said else "the database does not answer",
            hint="Nothing is lost. See that PostgreSQL runs and DATABASE_URL is right, then run it again.",
        )
    kept = _keep(error, arguments)
    return IsthmusError(
        doing,
        answered=f"{type(error).__name__}: {said[0] if said else ''}".strip(),
        hint=f"This was not foreseen; nothing is lost. Tell the maintainers, with {kept}." if kept else None,
    )


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """The arguments as they may be shown: what follows an option that takes a secret is hidden."""
    out: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        option, equals, _ = argument.partition("=")
        if before in SECRET_OPTIONS:
            out.append(argument.partition("=")[0] + "=•••")
        elif option in SECRET_OPTIONS and equals:
            out.append(f"{option}=•••")
        else:
            out.append(argument)
    return out


def _keep(error: Exception, arguments: Sequence[str]) -> Path | None:
    from isthmus.store.postgres import home

    try:
        path = home() / "last-error.txt"
        path.touch(mode=0o600)
        story = "".join(traceback.format_exception(error))
        path.write_text(f"isthmus {' '.join(without_secrets(arguments))}\n\n{story}")
    except OSError:
        return None
    return path
