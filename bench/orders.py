"""An order of a shop, which is a session and its payment, in the forms that topics of one's own come in, and the maps that read it."""

import base64
import io
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, timestamp_pb2

from stream_app.sources import wire

Order = Mapping[str, Any]  # times in RFC 3339, amounts as texts in major units

MAP = """
[row]
operator_id = { path = "merchant" }
customer_id = { path = "driver.id" }
"""
SESSION_MAP = """
[session]
session_id = { path = "order.id" }
status = { path = "state", values = { paid = "COMPLETED" } }
started_at = { path = "opened" }
ended_at = { path = "closed" }
energy_kwh = { path = "wh", unit = "Wh" }
version = { path = "revision" }
"""
PAYMENT_MAP = """
[payment]
payment_id = { path = "order.id" }
session_id = { path = "order.session" }
status = { path = "state", values = { paid = "SUCCEEDED" } }
amount_received = { path = "total" }
amount_discount = { path = "voucher" }
currency = { path = "currency" }
paid_at = { path = "closed" }
version = { path = "revision" }
"""

_EVENT: Final = {"specversion": "1.0", "type": "paid", "source": "/shop", "id": "1"}
_CHANGE: Final = {"op": "c", "before": None, "source": {"lsn": 1}, "ts_ms": 1_793_700_000_000}


def _record(name: str, **types: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": each, "type": of} for each, of in types.items()]}


_AT: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
_MONEY: list[Any] = ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]
_ORDER_AVRO = _record(
    "Order", merchant="string", driver=["null", _record("Driver", id="string")], state={"type": "enum", "name": "State", "symbols": ["open", "paid"]}, opened=_AT,
    order=_record("Of", id="string", session="string"), closed=["null", _AT], currency="string", wh="int", total=_MONEY, voucher=_MONEY, revision="long",
)  # fmt: skip
_PARSED = fastavro.parse_schema(_ORDER_AVRO)


def _message(name: str, **types: str) -> descriptor_pb2.DescriptorProto:
    """A message; `types`: of its fields, a name with a capital letter is one of another message."""
    made = descriptor_pb2.DescriptorProto(name=name)
    for number, (field, of) in enumerate(types.items(), 1):
        one = made.field.add(name=field, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
        if of[0] == ".":
            one.type, one.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, of
        else:
            one.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{of.upper()}")
    return made


_ORDER_PROTO = descriptor_pb2.FileDescriptorProto(
    name="order.proto", syntax="proto3", dependency=[timestamp_pb2.DESCRIPTOR.name],
    message_type=[
        _message(
            "Order", merchant="string", driver=".Driver", state="string", opened=".google.protobuf.Timestamp", order=".Of", closed=".google.protobuf.Timestamp",
            currency="string", wh="int32", total="string", voucher="string", revision="int64",
        ),
        _message("Driver", id="string"), _message("Of", id="string", session="string"),
    ],
)  # fmt: skip
_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
_pool.AddSerializedFile(_ORDER_PROTO.SerializeToString())
_Order = message_factory.GetMessageClass(_pool.FindMessageTypeByName("Order"))
REGISTERED: Final = {  # by the id: what a registry answers, that of Protobuf serialized
    1: {"schemaType": "AVRO", "schema": json.dumps(_ORDER_AVRO)},
    2: {"schemaType": "PROTOBUF", "schema": base64.b64encode(_ORDER_PROTO.SerializeToString()).decode()},
}


def as_json(order: Order) -> bytes:
    """As it is."""
    return json.dumps(order).encode()


def as_cloud_event(order: Order) -> bytes:
    """In the envelope of CloudEvents."""
    return json.dumps(_EVENT | {"data": order}).encode()


def as_change(order: Order) -> bytes:
    """As Debezium tells of a row that was inserted."""
    return json.dumps(_CHANGE | {"after": order}).encode()


def as_list(order: Order) -> bytes:
    """Alone in a list."""
    return json.dumps([order]).encode()


def as_avro(order: Order) -> bytes:
    """In the wire format of schema registries, amounts as decimals."""
    times = {name: datetime.fromisoformat(order[name]) for name in ("opened", "closed")}
    amounts = {name: Decimal(order[name]) for name in ("total", "voucher")}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _PARSED, {**order, **times, **amounts})
    return wire.header(1) + out.getvalue()


def as_protobuf(order: Order) -> bytes:
    """The same in Protobuf, which has no decimals: amounts as texts."""
    made = json_format.ParseDict(dict(order), _Order(), descriptor_pool=_pool)
    return wire.header(2) + b"\0" + bytes(made.SerializeToString())


def topic_map(name: str, number: int, sections: str, topic: str = "") -> str:
    """A map of a topic; `sections`: SESSION_MAP, PAYMENT_MAP or both, `topic`: more said of the topic."""
    return f'[topic]\nname = "{name}"\nnumber = {number}\n{topic}\n{MAP}{sections}'
