"""Models of the questions and answers of tables of results, made from the tables and from the table of figures.

Place: under `reference`, beside `models`. A figure or a table that is added is described without a change here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, create_model
from pydantic.alias_generators import to_pascal

from stream_app.api.description import models
from stream_app.domain.figures import FIGURES, Average, Figure
from stream_app.domain.tables import CountTable, FigureTable, Period, Table

Model = type[models.Plain]
_CURRENCY_DIGITS: Final = r"^[0-9]+(\.[0-9]+)?$"
Count = Annotated[int, Field(ge=0)]


def _name(table: Table[Any], role: str) -> str:
    return to_pascal(table.document.replace("-", "_")) + role


def _text(period: Period) -> Any:
    schema: dict[str, Any] = dict(period.schema)
    return Annotated[str, Field(pattern=schema.pop("pattern"), json_schema_extra=schema)]


def figure_type(figure: Figure) -> Any:
    """The type of a figure's value: a number, or a decimal string with the digits of its unit."""
    said, digits = figure.meaning, figure.unit.digits
    if digits is None:
        said += " In major units, with the currency's digits."
    if isinstance(figure, Average):
        said += " Rounded half-up; zero when there is nobody to divide by."
    if digits == 0:
        return Annotated[int, Field(ge=0, description=said)]
    pattern = _CURRENCY_DIGITS if digits is None else rf"^[0-9]+\.[0-9]{{{digits}}}$"
    return Annotated[str, Field(description=said, pattern=pattern)]


def request_model(table: Table[Any], length_max: int) -> Model:
    """Parameters of a table's question, which may ask for up to `length_max` periods."""
    period = table.period
    fields: dict[str, Any] = {
        "operatorId": (models.OperatorId, None),
        "groupId": (models.GroupId, "ALL"),
        period.plural: (Annotated[int, Field(ge=1, le=length_max)] | None, min(table.shown, length_max)),
        period.last: (
            Annotated[_text(period) | None, Field(description=f"The last {period.name}; the current one by default")],
            None,
        ),
    }
    if isinstance(table, FigureTable):
        said = Field(description="ISO 4217; the operator's by default")
        fields["currency"] = (Annotated[models.Currency | None, said], None)
    return _model(_name(table, "Request"), f"Parameters of {table.path}.", fields)


def data_model(table: Table[Any]) -> Model:
    """The `data` of a table's answer."""
    fields: dict[str, Any] = {"operatorId": models.Id, "groupId": models.Id, "timezone": str}
    state: dict[str, Any] = {"partition": models.Partition, "asOf": models.AsOf, "version": models.Version}
    if isinstance(table, FigureTable):
        fields |= {"currency": models.Currency, "currencies": list[models.Currency], **state}
        fields[table.period.plural] = list[_figure_row(table)]  # type: ignore[misc]
    else:
        assert isinstance(table, CountTable)
        text = _text(table.period)
        slots = Field(min_length=table.width, max_length=table.width)
        fields |= {**state, "from": text, "to": text, "total": Count}
        fields["slots"] = Annotated[list[_slot(table)], slots]  # type: ignore[misc]
    return _model(_name(table, "Data"), f"The answer of {table.path}.", _required(fields))


def _figure_row(table: FigureTable) -> Model:
    period = table.period
    fields = {period.name: _text(period), **{figure.name: figure_type(figure) for figure in FIGURES}}
    said = f"Key figures of a group in a {period.name} and currency."
    return _model(_name(table, "Row"), said, _required(fields))


def _slot(table: CountTable) -> Model:
    fields: dict[str, Any] = {"slot": Annotated[int, Field(ge=0, le=table.width - 1)]}
    for name in table.slot_names[0]:
        values = list(dict.fromkeys(names[name] for names in table.slot_names))
        fields[name] = Annotated[str, Field(json_schema_extra={"enum": values})]  # type: ignore[dict-item]
    fields["chargeCount"] = Count
    return _model(_name(table, "Slot"), table.meaning, _required(fields))


def _required(types: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (kind, ...) for name, kind in types.items()}


def _model(name: str, doc: str, fields: dict[str, Any]) -> Model:
    return create_model(name, __base__=models.Plain, __doc__=doc, **fields)
