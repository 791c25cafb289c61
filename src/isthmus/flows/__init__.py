"""Flows: designed processes as files, run durably, batch by batch."""
