"""The dashboard and the operations page: sources (`src/`), built files (`built/`), routes that serve these (`page`).

The pages ask the HTTP interface like any other client; nothing here imports the API.
"""
