"""The servers of a stack, started for real."""

import redis
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from clickhouse_driver import Client


async def test_kafka_makes_topics_only_when_told(kafka):
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        await client.describe_topics(["stack.asked-for"])
        assert "stack.asked-for" not in await client.list_topics()
        await client.create_topics([NewTopic("stack.made", 2, 1)])
        assert "stack.made" in await client.list_topics()
    finally:
        await client.close()


def test_redis_runs_scripts(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.eval("return ARGV[1]", 0, "大客户") == "大客户".encode()


def test_clickhouse_is_the_oldest_that_must_work(clickhouse_url):
    client = Client.from_url(clickhouse_url)
    try:
        assert client.execute("SELECT version()")[0][0].startswith("18.16")
    finally:
        client.disconnect()
