#!/bin/sh
# As the image is set: for whoever reaches the container.
exec /opt/valkey/valkey-server "$@" --protected-mode no --bind '*'
