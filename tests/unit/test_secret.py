"""A secret never prints, whatever is done to it."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest
from pydantic import BaseModel

from isthmus.model.secret import Secret

VALUE = "hunter2-hunter2"


class Form(BaseModel):
    """A settings form with a secret."""

    key: Secret | None = None


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(VALUE)),
        str(Secret(VALUE)),
        f"{Secret(VALUE)}",
        f"{Secret(VALUE)!r:>20}",
        "%s" % Secret(VALUE),  # noqa: UP031
        repr([Secret(VALUE)]),
        json.dumps({"key": Secret(VALUE)}, default=str),
        pickle.dumps(Secret(VALUE)).decode("latin-1"),
        Form(key=Secret(VALUE)).model_dump_json(),
        repr(Form(key=Secret(VALUE))),
        str(Form.model_json_schema()),
    ],
)
def test_it_never_shows(shown: str) -> None:
    assert VALUE not in shown


def test_only_reveal_gives_it_and_copies_keep_it() -> None:
    secret = Secret(VALUE)
    assert secret.reveal() == VALUE
    assert copy.deepcopy({"a": secret})["a"].reveal() == VALUE
    assert Secret(secret) == secret
    assert secret != VALUE
    assert not Secret("")
    assert not hasattr(secret, "__dict__")


def test_it_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("key %s", Secret(VALUE))
    assert VALUE not in caplog.text


def test_a_form_takes_text_and_keeps_a_secret() -> None:
    form = Form.model_validate({"key": VALUE})
    assert form.key == Secret(VALUE)
    assert form.model_dump() == {"key": "•••"}
