"""Two files of orders: the second differs from the first in many ways."""

from tests.integration.sources.case import lines

FIRST = lines(
    "Order ID,day,paid,amount,status,note",
    lambda n: f"{n},{n % 28 + 1:02}.12.2013,{'yes' if n % 2 else 'no'},{n}.50,{'open' if n % 3 else 'shut'},n{n}",
)
SECOND = (
    "Order ID,day,paid,amount,status,extra\n"
    "2,2013-12-24,maybe,7.255,lost,x\n"
    "41,25.12.2013,yes,,open,y\n"
    "42,26.12.2013,no,8.00,open,z\n"
    "42,26.12.2013,no,9.00,open,z\n"
)
