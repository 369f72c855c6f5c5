"""How servers are reached and as whom: one value for each, which makes the settings of every client of that server.

Whoever builds a client takes the value, so that no client goes without credentials.
"""
