"""The nodes that ship; a module put here is found by itself."""
