"""Server-sent events: changes in Redis (`updates`), documents read once a change (`feed`), connections (`stream`)."""
