"""A day with incidents: drivers who have learned their ways without them, the news, and the market within the day."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.errors import InputError
from sim.experiments.progress import Say
from sim.experiments.queue_build import BuiltQueues
from sim.experiments.queue_market import Phase, QueueMarket, close_window, members_of, registrations_of, worth_of
from sim.mechanisms.within_day import FollowIncident, FollowOffers, WithinDay, WithinDayRules
from sim.queue_model import QueueCityModel
from sim.traffic.incidents import Incident
from sim.traffic.trips import Trips

WITHHELD: Final = "on the day of an incident drivers do not know what awaits them, so that its selfish day is no equilibrium"


def with_incidents(queues: BuiltQueues) -> BuiltQueues:
    """Return the same streets with the scenario's incidents.

    Raises
    ------
    InputError
        There is no such link, or two incidents befall a link at once.
    """
    spec, network = queues.built.spec, queues.network
    position = {str(one): idx for idx, one in enumerate(network.link_id.tolist())}
    incidents = []
    for row, one in enumerate(spec.incident):
        link_idx = position.get(str(one.link))
        if link_idx is None:
            raise InputError(f"there is no link {one.link!r}", where=f"incident[{row}].link", allowed="a link of the network")
        incidents.append(Incident(link_idx, one.from_s, one.to_s, one.capacity_share))
    return replace(queues, network=replace(network, incidents=tuple(incidents)))


def incident_rule(queues: BuiltQueues, learned: Trips) -> FollowIncident:
    """Return the rule of the selfish drivers on a day with incidents."""
    settings = queues.settings
    return FollowIncident(
        queues.network,
        queues.finder,
        learned,
        share=settings.reactive_share,
        every_s=settings.reroute_every_s,
        seed=queues.built.spec.seed,
    )


def within_day_rules(queues: BuiltQueues) -> WithinDayRules:
    """Return the rules of trade of a scenario."""
    market, settings = queues.built.spec.market, queues.settings
    return WithinDayRules(
        every_s=settings.reroute_every_s,
        rounds=market.rehearsals,
        step_s=market.broadcast_step_s,
        fee=market.fee_per_vehicle * queues.weight,
        news_share=settings.reactive_share,
        patience_s=settings.patience_s,
    )


def run_within_day(queues: BuiltQueues, learned: Trips, *, warm_up_days: int, phase: Phase, say: Say) -> QueueMarket:
    """Trade within the day of the incidents, drive it, settle it.

    Parameters
    ----------
    queues
        With the day's incidents.
    learned
        The ways that everybody has learned on days without them.
    """
    spec, worth = queues.built.spec, worth_of(queues)
    registrations = registrations_of(queues, warm_up_days)
    with phase("live coalition"):
        market = WithinDay(
            queues.network,
            queues.finder,
            learned,
            members_of(registrations, len(worth)),
            worth,
            within_day_rules(queues),
            spec.seed,
        )
        say(f"coalition: offers at {len(market.rounds):,} times of the day")
    content = {
        "called_off": int(market.called_off),
        "decision_points": len(market.rounds),
        "days": 1,
        "stopped_because": "nothing was gained any more",
    }
    with phase("settle coalition"):
        closed = close_window(queues, market.agreement, registrations)
    with phase("drive coalition"):
        rule = FollowOffers(learned, market.steps, market.rules.every_s)
        world = QueueCityModel(queues.network, queues.population, rule, spec.seed, rules=queues.day_rules)
        world.run_day()
        world.open_offices(closed.enforcement)
    return QueueMarket.of(world, market.agreement, closed, content, ())
