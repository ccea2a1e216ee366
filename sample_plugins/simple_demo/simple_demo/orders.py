"""Orders: where they come from, which of them are valid, and what they add up to."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

Order: TypeAlias = dict[str, Any]
"""An order as it arrives (id, product, quantity, price_cents): nothing about it is sure."""

PRODUCTS = ("apple", "bread", "cheese", "dates", "eggs", "figs", "grapes")


def arriving(count: int) -> Iterator[Order]:
    """Yield the same orders each time; one in twenty is broken, in one of two ways."""
    for number in range(count):
        order: Order = {
            "id": number,
            "product": PRODUCTS[number * 31 % len(PRODUCTS)],
            "quantity": number * 17 % 9 + 1,
            "price_cents": number * 7919 % 4_900 + 100,
        }
        match number % 40:
            case 7:
                order["quantity"] = -order["quantity"]
            case 27:
                order["product"] = ""
        yield order


def problem_of(order: Order) -> str:
    """Return what is wrong with an order, or "" if nothing is."""
    if order["product"] not in PRODUCTS:
        return "unknown product"
    if order["quantity"] <= 0:
        return "quantity is not positive"
    if order["price_cents"] <= 0:
        return "price is not positive"
    return ""


def revenue_cents(orders: Iterable[Order]) -> dict[str, int]:
    """Return what was earned by each product, in the order of their names."""
    earned: Counter[str] = Counter()
    for order in orders:
        earned[order["product"]] += order["quantity"] * order["price_cents"]
    return dict(sorted(earned.items()))
