"""How much of everything a network needs: arithmetic from measured costs. Pure.

`costs` reads what was measured (costs.json, written by `make bench ARGS="state served steady million curves --page"`), `demand` is what somebody asks for and whether it makes sense,
`load`, `workers`, `kafka` and `stores` say what is needed, `plan` is all of it, and `text` shows it.
"""
