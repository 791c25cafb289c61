"""Routes on Mappings: the transform catalogue, previews of records, custom fields."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, Field

from isthmus.api.caller import Designer, Running, Viewer
from isthmus.mapping.cel import FUNCTIONS
from isthmus.mapping.transform import catalogue
from isthmus.operate import customfields
from isthmus.operate.preview import preview as previewed

router = APIRouter(tags=["mappings"])


class Wanted(BaseModel):
    """A record to be previewed."""

    entity: str = Field(description="The Entity, such as customer.")
    side: Literal["left", "right"] = Field("left", description="Where the record is.")
    key: str = Field(min_length=1, description="Its key, as that side writes it.")


class Chosen(BaseModel):
    """Custom fields to be mapped."""

    names: list[str] = Field(min_length=1, description="Names of what is offered.")


@router.get("/mappings/transforms", summary="Every transform: label, help, options as JSON schema, examples.")
async def transforms(caller: Viewer) -> list[dict[str, Any]]:
    return [
        {
            **{name: getattr(one, name) for name in ("name", "label", "group", "help", "takes")},
            "options": one.options,
            "examples": [_example(example) for example in one.examples],
        }
        for one in catalogue()
    ]


def _example(example: Any) -> dict[str, Any]:
    told = {name: getattr(example, name) for name in ("raw", "value", "options", "record", "problem", "one_way")}
    back = example.raw if example.back is ... else example.back
    found: dict[str, Any] = jsonable_encoder({**told, "back": back}, custom_encoder={float: repr})
    return found


@router.get("/mappings/functions", summary="Our functions in CEL expressions.")
async def functions(caller: Viewer) -> list[dict[str, Any]]:
    return [
        {"name": name, "takes": list(given), "gives": result, "help": told}
        for name, (given, result, _, told) in FUNCTIONS.items()
    ]


@router.post("/pairs/{name}/preview", summary="A record through its Mapping, step by step; writes nothing.")
async def preview(name: str, given: Wanted, runtime: Running, caller: Viewer) -> dict[str, Any]:
    return (await previewed(runtime, name, given.entity, given.side, given.key)).as_dict()


@router.get("/pairs/{name}/custom-fields/{entity}", summary="Custom fields of both systems that look the same.")
async def offered(name: str, entity: str, runtime: Running, caller: Viewer) -> list[dict[str, Any]]:
    return [asdict(one) for one in await customfields.offered(runtime, name, entity)]


@router.post("/pairs/{name}/custom-fields/{entity}", summary="Map custom fields that are offered.")
async def map_fields(name: str, entity: str, given: Chosen, runtime: Running, caller: Designer) -> dict[str, Any]:
    mapped, version = await customfields.map_fields(runtime, name, entity, given.names, actor=caller.name)
    return {"version": version, "mapped": [asdict(one) for one in mapped]}
