"""A secret value that never prints: only `reveal()` gives it, and only code that sends it calls that."""

from __future__ import annotations

import hmac
from typing import Any, Final

HIDDEN: Final = "•••"


class Secret:
    """A password, key or token. Text, format, repr, pickle and JSON all give `•••`; copies keep the value.

    Not a `str`, so that it cannot slip into an f-string, a URL or a log line by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        self._value: str = value._value if isinstance(value, Secret) else value

    def reveal(self) -> str:
        """The value itself; call it at the moment of sending, never to store or print."""
        return self._value

    def __str__(self) -> str:
        return HIDDEN

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compares with another Secret only, in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (HIDDEN,)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        given = core_schema.union_schema([core_schema.is_instance_schema(cls), core_schema.str_schema()])
        return core_schema.no_info_after_validator_function(
            cls, given, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "password", "writeOnly": True}
