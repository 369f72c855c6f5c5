"""The dashboard and the operations page: sources (`src/`), the files built from these (`built/`), and the routes that serve them (`page`).

The pages ask the HTTP interface like any other client; nothing here imports the API.
"""
