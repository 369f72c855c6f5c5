#!/usr/bin/env python
"""What `kafka-broker-api-versions.sh --bootstrap-server HOST:PORT` asks, without Java: ends with 0 when the broker lists what it understands."""

import socket
import struct
import sys

host, port = sys.argv[2].rsplit(":", 1)
request = struct.pack(">hhih", 18, 0, 7, -1)  # ApiVersions, version 0, correlation id, no client id
with socket.create_connection((host, int(port)), 10) as broker:
    broker.sendall(struct.pack(">i", len(request)) + request)
    correlation, error, count = struct.unpack(">ihi", broker.makefile("rb").read(14)[4:])
print(count)
sys.exit((correlation, error) != (7, 0) or count == 0)
