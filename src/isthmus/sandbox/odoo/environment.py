"""Who asks, in which language and company, at what moment; and what a model does beyond storing fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .database import Database, Row
from .errors import AccessError, UserError
from .schema import INSTALLED_LANGUAGES, Model

Values = dict[str, Any]
Compute = Callable[["Env", Row], Any]
Inverse = Callable[["Env", int, Any], object]
LANGUAGES = frozenset(code for code, _ in INSTALLED_LANGUAGES)
SUPERUSER = 1


class Behaviour:
    """What a model adds to plain storage; the plain model is this class itself."""

    missing_reference_is_404 = False
    """Whether a wrong many2one id is reported as a missing record (Odoo reads it back) or as a foreign key."""

    computed: Mapping[str, Compute] = {}
    """Fields worked out when read, in raw form (ids for relations, None for empty)."""

    inverses: Mapping[str, Inverse] = {}
    """Fields whose written value goes somewhere else."""

    methods: Mapping[str, Callable[..., Any]] = {}
    """Public methods of this model only; called with a `Records` first."""

    def defaults(self, env: Env) -> Values:
        """Return what a create starts from."""
        return {}

    def refuse_field(self, model: Model, name: str) -> Exception:
        """Return the error for writing a field that does not exist."""
        return ValueError(f"Invalid field {name!r} in {model.name!r}")

    def before_create(self, env: Env, values: Values) -> Values:
        """Return the values to create with; `values` is the caller's own copy, without defaults."""
        return values

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        """Follow up a create."""

    def after_load(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        """Follow up a create by `load`; the same as any create unless the model differs."""
        self.after_create(env, ids, given)

    def before_write(self, env: Env, ids: Sequence[int], values: Values) -> Values:
        """Return the values to write."""
        return values

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        """Follow up a write; `before` holds the old rows in the order of `ids`."""

    def before_unlink(self, env: Env, ids: Sequence[int]) -> None:
        """Refuse or prepare a deletion."""

    def after_unlink(self, env: Env, rows: Sequence[Row]) -> None:
        """Follow up a deletion."""

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        """Raise where a constraint on one of the changed fields does not hold."""

    def display_name(self, env: Env, row: Row) -> str | None:
        """Return the record's name for people, None to use the model's name field."""
        return None

    def search_display_name(self, env: Env, operator: str, value: Any) -> list[Any] | None:
        """Return the domain a search on display_name stands for, None for the model's names_searched."""
        return None

    def name_search(self, env: Env, name: str, domain: list[Any], operator: str, limit: int | None) -> list[int] | None:
        """Return the ids a name search finds, None for the plain search on display_name."""
        return None

    def visible(self, env: Env, row: Row) -> bool | None:
        """Say whether record rules let the user see the row, None for the rule on company_id."""
        return None


class Env:
    """One call: its database, user, context and moment. Never kept beyond the call."""

    def __init__(
        self,
        database: Database,
        behaviours: Mapping[str, Behaviour],
        rights: Mapping[str, Mapping[str, str]],
        uid: int,
        now: str,
        context: Mapping[str, Any] | None = None,
        *,
        su: bool = False,
        after_commit: list[Any] | None = None,
    ) -> None:
        self.database = database
        self.schema = database.schema
        self.behaviours = behaviours
        self.rights = rights
        self.uid = uid
        self.now = now
        self.context: Mapping[str, Any] = context or {}
        self.su = su or uid == SUPERUSER
        self.after_commit: list[Any] = after_commit if after_commit is not None else []
        self.names: dict[tuple[str, int], str] = {}
        self._companies: tuple[int, ...] | None = None
        lang = self.context.get("lang")
        if lang and lang not in LANGUAGES:
            raise UserError(f"Invalid language code: {lang}")
        self.lang: str = lang or "en_US"

    def behaviour(self, model: str) -> Behaviour:
        """Return what the model adds to plain storage."""
        return self.behaviours[model]

    def model(self, name: str) -> Model:
        """Return a model that exists."""
        return self.schema[name]

    def row(self, model: str, row_id: int | None) -> Row | None:
        """Return a row by id, or None."""
        return None if row_id is None else self.database.row(model, row_id)

    def sudo(self) -> Env:
        """Return the same call without rights checks."""
        return self if self.su else self._again(self.context, su=True)

    def with_context(self, **changes: Any) -> Env:
        """Return the same call with other context keys."""
        return self._again({**self.context, **changes}, su=self.su)

    def _again(self, context: Mapping[str, Any], *, su: bool) -> Env:
        return Env(
            self.database,
            self.behaviours,
            self.rights,
            self.uid,
            self.now,
            context,
            su=su,
            after_commit=self.after_commit,
        )

    def rollback(self, mark: int) -> None:
        """Undo what this call did since a savepoint. Webhooks already caused are still posted, as in Odoo."""
        self.database.rollback(mark)
        self.names.clear()

    @property
    def companies(self) -> tuple[int, ...]:
        """The companies this call may see, the current one first; from the context, else all of the user's."""
        if self._companies is None:
            user = self.database.row("res.users", self.uid) or {}
            own = tuple(user.get("company_ids") or ())
            asked = self.context.get("allowed_company_ids")
            if asked:
                if not self.su and not set(asked) <= set(own):
                    raise AccessError("Access to unauthorized or invalid companies.")
                self._companies = tuple(asked)
            else:
                main = user.get("company_id")
                self._companies = ((main,) if main else ()) + tuple(c for c in own if c != main)
        return self._companies

    @property
    def company(self) -> int:
        """The current company."""
        return self.companies[0] if self.companies else 1

    @property
    def user_row(self) -> Row:
        """The user's own row."""
        return self.database.row("res.users", self.uid) or {}
