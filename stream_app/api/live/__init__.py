"""Server-sent events: changes heard from Redis (`updates`), documents read once a change (`feed`), and their connections (`stream`)."""
