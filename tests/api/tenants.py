"""Two operators whose every name, id and figure can be told from the other's, wherever it turns up.

All text of one holds its mark, all figures but zeros and those that count days hold its digits.
"""

from typing import NamedTuple

from stream_app.domain.events import ALL
from tests.support.fake_view import MONTH, TODAY, FakeView


class Tenant(NamedTuple):
    mark: str
    digits: int
    timezone: str
    currency: str

    @property
    def operator(self):
        return f"{self.mark} |{{1}}:%2B+'\"\\大客户🚗"

    @property
    def groups(self):
        return f"{self.mark}-vip", f"{self.mark}{{}}|:%+ \"'客é🚗"

    @property
    def marks(self):
        """What no answer to another may hold."""
        return self.mark, str(self.digits), self.timezone


OURS = Tenant("Mqz", 31713, "Asia/Kathmandu", "EUR")
THEIRS = Tenant("Txq", 98989, "Australia/Lord_Howe", "KWD")


def tenants(partition_of):
    """A view for each partition that one of them lies in."""
    views = {}
    for tenant in (OURS, THEIRS):
        operator, digits = tenant.operator, tenant.digits
        view = views.setdefault(partition_of(operator), FakeView(partition_of(operator)))
        view.add_operator(operator, tenant.currency, tenant.timezone, name=f'Name {tenant.mark} \'n "co"')
        money = {tenant.currency: [digits * 100, digits, digits, digits, digits, digits]}
        for group in (ALL, *tenant.groups):
            version = digits * 100_000 + len(view.months)
            view.set_month(operator, group, MONTH, version, [digits, digits, digits], **money)
            view.set_day(operator, group, TODAY - 3, version, {17: digits})
        view.named[operator][tenant.groups[0]].name = f"Group {tenant.mark}"
    return list(views.values())
