"""What of people is never asked of Odoo: home, family, birth, identity papers, bank, pay and health of employees."""

from __future__ import annotations

import re

PRIVATE = "private data of a person, which is never read"

_OF = re.compile(r"^(hr\.employee(\..+)?|hr\.version|hr\.contract|hr\.applicant|res\.users)$")
_PRIVATE = re.compile(
    r"""^(
    private_.* | birthday.* | place_of_birth | country_of_birth | country_id | (is_)?non_resident | sex | gender
    | marital | spouse_.* | children | dependant.* | emergency_.* | ssnid | sinid | identification_id | id_card
    | passport_.* | permit_.* | visa_.* | work_permit_.* | has_work_permit | driving_license | certificate | study_.*
    | (primary_)?bank_account_ids? | primary_bank_account_id | is_trusted_bank_account | has_multiple_bank_accounts
    | salary_.* | wage.* | .*_wage | hourly_.* | pin | distance_home_work.* | km_home_work | legal_name
    | disabled.* | l10n_.* | additional_note | departure_description | departure_reason_id | notes | employee_properties
    | (employee_)?bank_accounts?_ids? | resume_line_ids | barcode_pin | structure_type_id
    )$""",
    re.VERBOSE,
)


def is_private(model: str, field: str) -> bool:
    """Whether a field of a model is somebody's private matter; such a field is unknown to the whole connector."""
    return bool(_OF.match(model) and _PRIVATE.match(field))
