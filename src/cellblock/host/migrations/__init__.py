"""The store's schema, version by version: Alembic applies what a database file lacks."""
