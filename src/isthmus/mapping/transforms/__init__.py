"""The transform catalogue: importing this package registers every transform."""

from isthmus.mapping.transforms import (
    address,
    choice,
    contact,
    expression,
    markup,
    money,
    name,
    number,
    records,
    table,
    text,
    time,
    trade,
    unit,
)

__all__ = [
    "address",
    "choice",
    "contact",
    "expression",
    "markup",
    "money",
    "name",
    "number",
    "records",
    "table",
    "text",
    "time",
    "trade",
    "unit",
]
