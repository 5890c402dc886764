"""Doors: adapters through which the outside reaches the interpreter. They keep no state and ignore one another."""
