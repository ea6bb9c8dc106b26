"""Slow twin of `sim.kernels.deals`: everybody's cost is added up afresh before and after a detour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reference.travellers import Route, flows_of


@dataclass
class Street:
    """Who drives where: routes, weights, values of time, who is a member, and what a link costs at a flow."""

    driven: list[Route]
    weight: Sequence[float]
    value: Sequence[float]
    is_member: Sequence[bool]
    cost: Callable[[int, float], float]
    n_links: int

    def link_costs(self) -> list[float]:
        """Return the cost of every link."""
        return [self.cost(link, flow) for link, flow in enumerate(flows_of(self.driven, self.weight, self.n_links))]

    def trip_credits(self, price: Sequence[float] | None = None) -> list[float]:
        """Return what each traveller's trip costs in credits, at the present link costs unless others are given."""
        price = price or self.link_costs()
        return [
            value * weight * sum(price[link] for link in route)
            for route, weight, value in zip(self.driven, self.weight, self.value, strict=True)
        ]

    def members_total(self, trip_credits: Sequence[float] | None = None) -> float:
        """Return what the members' trips cost together."""
        return sum(credits for credits, member in zip(trip_credits or self.trip_credits(), self.is_member, strict=True) if member)

    def stake(self, link: int) -> float:
        """Return the sum of value * weight over the members on a link."""
        return sum(
            value * weight
            for route, weight, value, member in zip(self.driven, self.weight, self.value, self.is_member, strict=True)
            if member and link in route
        )

    def after(self, mover: int, route: Route) -> Street:
        """Return the street after a change of route."""
        driven = list(self.driven)
        driven[mover] = route
        return Street(driven, self.weight, self.value, self.is_member, self.cost, self.n_links)


@dataclass(frozen=True)
class Worth:
    """What a detour is worth, in credits; gains and harm are those of the members other than the mover, link by link."""

    surplus: float
    loss: float
    gains: float
    harm: float
    gain_of_link: dict[int, float]
    harm_of_link: dict[int, float]


def worth_of(street: Street, mover: int, route: Route, fee_and_ask: float) -> Worth:
    """Return surplus = (members' costs before - after) - fee - ask, and its parts."""
    then = street.after(mover, route)
    before, after = street.link_costs(), then.link_costs()
    credits_before, credits_after = street.trip_credits(before), then.trip_credits(after)
    own = street.value[mover] * street.weight[mover]
    relieved, loaded = set(street.driven[mover]) - set(route), set(route) - set(street.driven[mover])
    gain_of_link = {link: (street.stake(link) - own) * (before[link] - after[link]) for link in relieved}
    harm_of_link = {link: street.stake(link) * (after[link] - before[link]) for link in loaded}
    return Worth(
        surplus=street.members_total(credits_before) - street.members_total(credits_after) - fee_and_ask,
        loss=credits_after[mover] - credits_before[mover],
        gains=sum(gain_of_link.values()),
        harm=sum(harm_of_link.values()),
        gain_of_link=gain_of_link,
        harm_of_link=harm_of_link,
    )


def best_worth(street: Street, mover: int, known: Sequence[Route], fee_and_ask: float) -> Worth | None:
    """Return the known detour with the largest surplus, None where no other route is known."""
    worths = [worth_of(street, mover, route, fee_and_ask) for route in known if route != street.driven[mover]]
    return max(worths, key=lambda worth: worth.surplus, default=None)
