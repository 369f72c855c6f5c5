"""What the service takes for a customer, a result and an event, for `stream-app plan`: `make bench ARGS="state served steady million curves --page"`.

Parts, each with the day, commit and machine of its own: `state` (rows and their bytes) and `curves` (events a CPU-second) come from the service in
one process, `served`, `steady` (a steady pace) and `million` (restarts) from a worker, the API and servers. They are kept in stream_app/sizing/costs.json; docs/sizing.md is written from there.
"""
