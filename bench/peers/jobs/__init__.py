"""The peers in Python, each a program of its own: JOB SERVERS SESSIONS PAYMENTS OUTPUT STATE_DIR EVENTS (see bench.peers.systems). None imports ours."""
