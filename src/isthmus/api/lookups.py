"""Routes on look-up tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Response, UploadFile
from pydantic import BaseModel, Field, StringConstraints

from isthmus.api.caller import Designer, Running, Viewer
from isthmus.mapping.lookups import LookupRow
from isthmus.mapping.tablefile import MAX_BYTES, write_csv
from isthmus.operate import lookups

router = APIRouter(prefix="/pairs/{name}/lookups", tags=["look-up tables"])

_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]


class Row(BaseModel):
    """One row of a table."""

    canonical: _Text = Field(description="The value in the middle.")
    values: dict[str, _Text] = Field(description="System to what it calls that.")


class Rows(BaseModel):
    """Rows to be stored in a table."""

    rows: list[Row] = Field(description="The rows; the first of a canonical value is the one that is written.")
    replace: bool = Field(False, description="Instead of what is there; otherwise beside it.")
    dry_run: bool = Field(False, description="Only say what would change.")


@router.get("", summary="List a pair's tables and which Mappings ask them.")
async def listing(name: str, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return [asdict(table) for table in await runtime.db.run(lookups.listing, name)]


@router.get("/{table}", summary="The rows of a table.")
async def show(name: str, table: str, runtime: Running, caller: Viewer) -> dict[str, Any]:
    systems, rows = await runtime.db.run(lookups.show, name, table)
    return {"systems": systems, "rows": [{"canonical": r.canonical, "values": dict(r.values)} for r in rows]}


@router.get("/{table}/file", summary="A table as CSV or Excel.", response_class=Response)
async def export(
    name: str, table: str, runtime: Running, caller: Viewer, form: Literal["csv", "xlsx"] = "csv"
) -> Response:
    content = await runtime.db.run(lookups.export, name, table, f"{table}.{form}")
    headers = {"content-disposition": f'attachment; filename="{table}.{form}"'}
    return Response(content, media_type=_EXCEL if form == "xlsx" else "text/csv; charset=utf-8", headers=headers)


@router.put("/{table}", summary="Store rows in a table; one bad row, and nothing is stored.")
async def put(name: str, table: str, given: Rows, runtime: Running, caller: Designer) -> dict[str, Any]:
    # The rows go through the same reader as files, so that the same mistakes are found and numbered alike.
    systems = list(dict.fromkeys(system for row in given.rows for system in row.values))
    rows = [LookupRow(canonical=row.canonical, values=row.values) for row in given.rows]
    return await _take(
        name, table, write_csv(rows, systems), "the rows.csv", runtime, caller, given.replace, given.dry_run
    )


@router.post("/{table}/file", summary="Import a CSV or Excel file; one bad row, and nothing is imported.")
async def import_file(
    name: str,
    table: str,
    file: Annotated[UploadFile, File(description="CSV or Excel, with a column `canonical` and one per system.")],
    runtime: Running,
    caller: Designer,
    replace: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    content = await file.read(MAX_BYTES + 1)
    return await _take(name, table, content, file.filename or "the file.csv", runtime, caller, replace, dry_run)


async def _take(
    name: str, table: str, content: bytes, filename: str, runtime: Any, caller: Any, replace: bool, dry_run: bool
) -> dict[str, Any]:
    done = await runtime.db.run(
        lambda conn: lookups.import_file(
            conn, name, table, content, filename, actor=caller.name, replace=replace, dry_run=dry_run
        )
    )
    return asdict(done)
