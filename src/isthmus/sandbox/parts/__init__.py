"""What every stand-in needs: a durable store, faults, webhooks that are sent again, a start from the shell."""
