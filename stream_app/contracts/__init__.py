"""Our contracts with others: JSON Schemas of source events and of results, made from the types and tables of the code.

What they say is in docs/contracts/, written by docs/contract_files.py; a schema registry gets the same (`stream_app.schema_registry`). Pure: no I/O, no settings.
"""
