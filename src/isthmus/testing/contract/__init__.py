"""The contract that every connector keeps: `TestAcme = contract("acme", folder)`, over recordings and live."""

from isthmus.sdk.registry import Live
from isthmus.testing.contract.scenario import EntityScenario, Scenario, load_scenario
from isthmus.testing.contract.suite import broken_promises, contract, run_check

__all__ = ["EntityScenario", "Live", "Scenario", "broken_promises", "contract", "load_scenario", "run_check"]
