"""Words that made-up companies, people, places and products are put together from."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = (
    "Abigail", "Ahmed", "Beatriz", "Bjorn", "Camille", "Cheng", "Dagmar", "Dmitri", "Eduardo", "Elif", "Fiona",
    "Gabor", "Giulia", "Hannah", "Hiroshi", "Imogen", "Isaac", "Jelena", "Joaquin", "Katarzyna", "Kwame", "Leila",
    "Lucas", "Magnus", "Mei", "Nadia", "Nikhil", "Olga", "Oscar", "Priya", "Quentin", "Rafael", "Rosalind", "Samuel",
    "Siobhan", "Tariq", "Thandiwe", "Ulrich", "Valentina", "Wanda", "Xavier", "Yusuf", "Zoe",
)  # fmt: skip
LAST = (
    "Abernathy", "Bauer", "Castillo", "Delacroix", "Eriksen", "Fitzgerald", "Goldberg", "Hargreaves", "Ivanova",
    "Jankowski", "Kowalczyk", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov", "Quiroga", "Rosenthal",
    "Santangelo", "Thorvaldsen", "Underhill", "Vandenberg", "Whitfield", "Xiong", "Yamaguchi", "Zielinski", "van Dijk",
)  # fmt: skip
PLACES = (
    "Alder", "Birchwood", "Copper", "Driftwood", "Evergreen", "Foxglove", "Granite", "Harbor", "Ironbridge", "Juniper",
    "Kestrel", "Lakeshore", "Maple", "Northgate", "Oakridge", "Pinecrest", "Quarry", "Riverside", "Silverton",
    "Thornbury", "Upland", "Vineyard", "Willow", "Yarrow", "Zephyr", "Ashford", "Bluestone", "Cedar", "Dovetail",
    "Elmhurst", "Fairfield", "Greenwich", "Hawthorn", "Islington", "Jasper", "Kingsbridge", "Larkspur",
)  # fmt: skip
TRADES = (
    "Analytics", "Bakery", "Carpentry", "Dairy", "Electric", "Foods", "Glassworks", "Hardware", "Imports", "Joinery",
    "Kitchens", "Logistics", "Machining", "Nurseries", "Optics", "Plumbing", "Roofing", "Supplies", "Textiles",
    "Upholstery", "Veterinary", "Windows",
)  # fmt: skip
STREETS = (
    "Main Street", "Church Road", "Station Avenue", "Mill Lane", "Park Street", "Bridge Road", "Market Square",
    "Harbour Street", "Hill Road", "Garden Avenue", "King Street", "Forest Drive",
)  # fmt: skip
GOODS = (
    "Anvil", "Bracket", "Caster", "Drill", "Easel", "Faucet", "Gasket", "Hinge", "Inverter", "Jigsaw", "Kettle",
    "Lantern", "Mallet", "Nozzle", "Oilcan", "Pulley", "Ratchet", "Spanner", "Tarpaulin", "Valve", "Winch", "Yoke",
)  # fmt: skip
LOOKS = (
    "Amber", "Brass", "Carbon", "Deluxe", "Enamel", "Folding", "Galvanised", "Heavy", "Insulated", "Jumbo", "Kiln",
    "Lacquered", "Matte", "Nickel", "Oversized", "Plain", "Quick", "Reinforced", "Slim", "Tempered",
)  # fmt: skip
SERVICES = ("Assembly", "Calibration", "Delivery", "Engraving", "Inspection", "Installation", "Repair", "Training")


@dataclass(frozen=True, slots=True)
class Town:
    """A place with what an address and a phone number there look like; `dial` takes the digits of `spare` zeros."""

    city: str
    postal_code: str
    country: str
    dial: str
    spare: int
    state: str = ""
    legal_form: str = ""


TOWNS = (
    Town("New York", "10001", "US", "+1212555", 4, "NY", "Inc"),
    Town("Chicago", "60601", "US", "+1312555", 4, "IL", "LLC"),
    Town("San Francisco", "94103", "US", "+1415555", 4, "CA", "Inc"),
    Town("Austin", "78701", "US", "+1512555", 4, "TX", "LLC"),
    Town("Seattle", "98101", "US", "+1206555", 4, "WA", "Co"),
    Town("Boston", "02108", "US", "+1617555", 4, "MA", "Inc"),
    Town("Denver", "80202", "US", "+1303555", 4, "CO", "LLC"),
    Town("Atlanta", "30303", "US", "+1404555", 4, "GA", "Corp"),
    Town("Toronto", "M5V 2T6", "CA", "+1416555", 4, "ON", "Ltd"),
    Town("London", "SW1A 1AA", "GB", "+44207946", 4, "", "Ltd"),
    Town("Berlin", "10117", "DE", "+493090182", 3, "", "GmbH"),
    Town("Lyon", "69002", "FR", "+33472407", 3, "", "SARL"),
    Town("Milano", "20121", "IT", "+39025412", 4, "", "Srl"),
    Town("Madrid", "28013", "ES", "+3491523", 4, "", "SL"),
    Town("Utrecht", "3511 LN", "NL", "+3130231", 4, "", "BV"),
)
