"""Starts Kafka as its image does: KAFKA_A_B of the environment is the property a.b."""

import os
import subprocess
from pathlib import Path

PROPERTIES = Path("/tmp/server.properties")
JAVA = ["/opt/java/bin/java", "-cp", "/opt/kafka/libs/*", "-Dlog4j2.level=WARN", "-XX:TieredStopAtLevel=1", "-Xmx768m"]
CLUSTER = "5L6g3nShT-eMCtK--X86sw"

given = {name: value for name, value in os.environ.items() if name.startswith("KAFKA_")}
lines = [f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}\n" for name, value in given.items()]
PROPERTIES.write_text("".join(lines))
storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={CLUSTER}", "-c", str(PROPERTIES), "--ignore-formatted"]
subprocess.run([*JAVA, *storage], check=True)
os.execv(JAVA[0], [*JAVA, "kafka.Kafka", str(PROPERTIES)])
