"""One module per version of the schema; `REVISION` in store.py names the newest."""
