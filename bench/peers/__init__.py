"""Ours and the peers side by side, on few operators and on many: `python -m bench peers --data narrow wide --systems ours kafka-streams`.

Peers get the same visits in a form that is easier for them (bench.traffic): groups lie inside of each event, and nobody changes them. They keep no
as-of, no dead letters, no zones, currencies, refunds or corrections; an id counts once. Each is written as its manual has it, with the settings that
make it fast, and each result of each is compared with what must come out.
"""
