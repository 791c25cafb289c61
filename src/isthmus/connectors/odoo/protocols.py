"""Odoo's three protocols: how a call is put on the wire and what its answer means, without any sending."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from isthmus.connectors.odoo.refusal import Refusal

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)

# Older versions name these arguments otherwise, so RPC passes them by position.
_POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "search": ("domain",),
    "search_count": ("domain",),
    "search_read": ("domain",),
    "create": ("vals_list",),
    "write": ("vals",),
    "read": ("fields",),
    "load": ("fields", "data"),
    "check_object_reference": ("module", "xml_id"),
    "fields_get": ("allfields",),
    "default_get": ("fields",),
}
_LARGEST_INT = 2**31 - 1
NONE_FAULT = "cannot marshal None"


@dataclass(frozen=True, slots=True)
class Call:
    """One method call on a model; `ids` None means that the method belongs to the model, not to records."""

    model: str
    method: str
    ids: Sequence[int] | None
    arguments: Mapping[str, Any]
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the path below the server's address, headers and body."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Unreadable(ValueError):
    """A body that is not of the protocol."""


def encode_json(value: Any) -> bytes:
    """JSON with decimals as exact numbers, dates as ISO dates, datetimes in Odoo's naive UTC form."""
    return _encoder.encode(_plain(value))


def decode_json(body: bytes) -> Any:
    """Decoded JSON with exact decimals; raises Unreadable."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None


def json2_message(call: Call, database: str, api_key: str) -> Message:
    """A JSON-2 request (version 19 and newer): all arguments by name, errors by status and name."""
    body: dict[str, Any] = {**call.arguments, "context": dict(call.context)}
    if call.ids is not None:
        body["ids"] = list(call.ids)
    headers = {"authorization": f"bearer {api_key}", "content-type": "application/json"}
    if database:
        headers["x-odoo-database"] = database
    return Message(f"/json/2/{call.model}/{call.method}", encode_json(body), headers)


def json2_refusal(body: bytes) -> Refusal | None:
    """The exception in an error body, or None when it is no such body."""
    try:
        told = decode_json(body)
    except Unreadable:
        return None
    if not isinstance(told, Mapping) or not isinstance(told.get("name"), str):
        return None
    return Refusal(name=told["name"], message=str(told.get("message") or ""))


def jsonrpc_message(service: str, method: str, arguments: Sequence[Any]) -> Message:
    """A JSON-RPC request to a service (`object`, `common`)."""
    body = {
        "jsonrpc": "2.0",
        "method": "call",
        "id": 1,
        "params": {"service": service, "method": method, "args": list(arguments)},
    }
    return Message("/jsonrpc", encode_json(body), {"content-type": "application/json"})


def jsonrpc_answer(body: bytes) -> Any:
    """The result or a Refusal; raises Unreadable."""
    told = decode_json(body)
    if not isinstance(told, Mapping) or "jsonrpc" not in told:
        raise Unreadable("no JSON-RPC answer")
    error = told.get("error")
    if error is None:
        return told.get("result")
    inside = error.get("data") if isinstance(error, Mapping) else None
    if isinstance(inside, Mapping) and inside.get("name"):
        return Refusal(name=str(inside["name"]), message=str(inside.get("message") or error.get("message") or ""))
    return Refusal(name="", message=str(error.get("message") if isinstance(error, Mapping) else error))


def xmlrpc_message(service: str, method: str, arguments: Sequence[Any]) -> Message:
    """An XML-RPC request; faults of this older door carry the exception's name."""
    text = _Marshaller(encoding="utf-8", allow_none=True).dumps(tuple(_plain(value) for value in arguments))
    body = f"<?xml version='1.0'?>\n<methodCall>\n<methodName>{method}</methodName>\n{text}</methodCall>\n"
    return Message(f"/xmlrpc/{service}", body.encode(), {"content-type": "text/xml"})


def xmlrpc_answer(body: bytes) -> Any:
    """The result or a Refusal, decimals exact; raises Unreadable."""
    reader = _Unmarshaller(use_builtin_types=True)
    parser = xmlrpc.client.ExpatParser(reader)
    try:
        parser.feed(body)
        parser.close()
        values = reader.close()
    except xmlrpc.client.Fault as fault:
        return _fault(fault)
    except Exception as error:  # any parser error says the same: this is no XML-RPC
        raise Unreadable(str(error)) from None
    return values[0] if values else None


def rpc_arguments(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """The positional and named arguments of `execute_kw` for a call."""
    named = dict(call.arguments)
    positional: list[Any] = [] if call.ids is None else [list(call.ids)]
    for name in _POSITIONAL.get(call.method, ()):
        if name not in named:
            break
        positional.append(named.pop(name))
    return positional, {**named, "context": dict(call.context)}


def _fault(fault: xmlrpc.client.Fault) -> Any:
    code, text = str(fault.faultCode), str(fault.faultString)
    if NONE_FAULT in code or NONE_FAULT in text:
        return None  # the method returned nothing, which XML-RPC cannot say; its transaction is committed
    if code.startswith("warning -- "):
        name, _, message = code.removeprefix("warning -- ").partition("\n\n")
        name = "UserError" if name == "Warning" else name
        return Refusal(name=f"odoo.exceptions.{name}", message=message)
    if code == "AccessDenied":
        return Refusal(name="odoo.exceptions.AccessDenied", message=text)
    last = next((line for line in reversed(text.strip().splitlines()) if line and not line.startswith(" ")), "")
    name, colon, _ = last.partition(": ")
    if not colon or not name.replace(".", "").isidentifier():
        name = ""
    return Refusal(name=name if "." in name or not name else f"builtins.{name}", message=code)


def _plain(value: Any) -> Any:
    """Dates and datetimes as Odoo takes them, whatever they are nested in."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


class _Marshaller(xmlrpc.client.Marshaller):
    """Writes decimals exactly and integers beyond 32 bits."""

    dispatch: ClassVar[dict[Any, Any]] = dict(xmlrpc.client.Marshaller.dispatch)  # type: ignore[misc]  # stub says instance

    def dump_decimal(self, value: Decimal, write: Any) -> None:
        write(f"<value><double>{value:f}</double></value>\n")

    def dump_int(self, value: int, write: Any) -> None:
        tag = "int" if -_LARGEST_INT - 1 <= value <= _LARGEST_INT else "i8"
        write(f"<value><{tag}>{value:d}</{tag}></value>\n")

    dispatch[Decimal] = dump_decimal
    dispatch[int] = dump_int


class _Unmarshaller(xmlrpc.client.Unmarshaller):
    """Reads doubles as exact decimals."""

    dispatch: ClassVar[dict[Any, Any]] = dict(xmlrpc.client.Unmarshaller.dispatch)  # type: ignore[misc]  # stub says instance

    def end_double(self, data: str) -> None:
        self.append(Decimal(data.strip()))
        self._value = False

    dispatch["double"] = end_double
