"""Automatic zones: balanced, deterministic, at home where the streets are, joined to streets that can carry the trips."""

from __future__ import annotations

import numpy as np
import pytest

from sim.demand.zoning import (
    CONNECTOR_REACH,
    CONNECTORS_PER_ZONE,
    LONGEST_LIVED_IN_M,
    Zoning,
    lived_in_length_m,
    local_metres,
    make_zones,
    split_evenly,
)
from sim.errors import InputError
from sim.network.road_network import RoadNetwork
from sim.network.store import load_city
from sim.network.synthetic import grid, plain_network


@pytest.fixture(scope="module")
def city() -> RoadNetwork:
    return load_city("coquimbo")


@pytest.fixture(scope="module")
def city_zoning(city: RoadNetwork) -> Zoning:
    return make_zones(city, 150)


def streets(classes: list[str], *, one_way: bool = False, length_m: float = 100.0) -> RoadNetwork:
    """A line of nodes 100 m apart; street k between nodes k and k + 1 has classes[k]."""
    n = len(classes)
    tail, head = np.arange(n), np.arange(1, n + 1)
    if not one_way:
        tail, head = np.concatenate([tail, head]), np.concatenate([head, tail])
    names = tuple(dict.fromkeys(classes))
    code = np.tile([names.index(name) for name in classes], 1 if one_way else 2)
    network = plain_network(
        "line",
        node_xy=np.column_stack([np.arange(n + 1) * 100.0, np.zeros(n + 1)]),
        tail_idx=tail.astype(np.int32),
        head_idx=head.astype(np.int32),
        free_flow_time_s=np.ones(len(tail)),
        capacity_vph=np.full(len(tail), 500.0),
        length_m=np.full(len(tail), length_m),
    )
    return network.replace(link_classes=names, link_class_code=code.astype(np.uint8))


def without_zones(network: RoadNetwork) -> RoadNetwork:
    return network.replace(zone_id=network.zone_id[:0], zone_node_idx=network.zone_node_idx[:0])


def test_lived_in_length_counts_streets_once_and_residential_ones_alone() -> None:
    expected = [50.0, 50.0, 0.0, 50.0, 50.0]
    classes = ["residential", "motorway", "primary", "living_street"]
    assert lived_in_length_m(streets(classes)).tolist() == expected
    assert lived_in_length_m(streets(classes, one_way=True)).tolist() == expected
    assert lived_in_length_m(streets(["tertiary"], length_m=5000.0)).tolist() == [LONGEST_LIVED_IN_M / 2] * 2


def test_equal_weights_split_into_equal_parts() -> None:
    x_m, y_m = np.meshgrid(np.arange(16.0), np.arange(8.0))
    part = split_evenly(x_m.ravel(), y_m.ravel(), np.ones(128), 8)
    assert np.bincount(part).tolist() == [16] * 8
    # The longer axis is cut first: no part reaches across the middle of x.
    for k in range(8):
        inside = x_m.ravel()[part == k]
        assert inside.max() < 8 or inside.min() >= 8


def test_every_part_has_weight_even_where_one_point_has_nearly_all() -> None:
    weight = np.array([1e9, 1, 0, 0, 1, 1, 0, 1.0])
    part = split_evenly(np.arange(8.0), np.zeros(8), weight, 5)
    assert np.all(np.bincount(part, weights=weight) > 0)
    coincident = split_evenly(np.zeros(9), np.zeros(9), np.ones(9), 9)
    assert sorted(coincident.tolist()) == list(range(9))


def test_local_metres() -> None:
    network = streets(["residential"])
    x_m, y_m = local_metres(network)
    assert x_m.tolist() == [0.0, 100.0] and y_m.tolist() == [0.0, 0.0]
    degrees = network.replace(crs="EPSG:4326", node_x=np.array([10.0, 10.001]), node_y=np.array([60.0, 60.0]))
    x_m, _ = local_metres(degrees)
    assert x_m[1] - x_m[0] == pytest.approx(111.19508 * 0.5, rel=1e-6)
    with pytest.raises(InputError, match="node 2 has no coordinates"):
        make_zones(network.replace(node_x=np.array([0.0, np.nan])), 1)


@pytest.mark.parametrize("n_zones", [0, 3])
def test_more_zones_than_nodes_are_refused(n_zones: int) -> None:
    with pytest.raises(InputError, match=r"demand\.zones.*allowed: 1 to 2"):
        make_zones(streets(["residential"]), n_zones)


@pytest.mark.parametrize("n_zones", [1, 2, 7, 64])
def test_grid_without_residential_streets_falls_back_to_nodes(n_zones: int) -> None:
    zoning = make_zones(without_zones(grid(8, 8)), n_zones)
    assert not zoning.by_streets
    assert zoning.production_weight.sum() == 64
    assert zoning.production_weight.max() - zoning.production_weight.min() <= np.ceil(np.log2(n_zones + 1))
    if n_zones == 64:
        assert all(len(nodes) == 1 for nodes in zoning.connector_node_idx)


def test_attraction_follows_main_street_intersections() -> None:
    """Main streets on the left, housing on the right, equal residents: more work on the left, but not without pull."""
    network = without_zones(grid(6, 30, block_m=150.0))
    main = (network.node_x[network.tail_idx] < 1500) & (network.node_x[network.head_idx] < 1500)
    network = network.replace(link_classes=("residential", "tertiary"), link_class_code=main.astype(np.uint8))
    zoning = make_zones(network, 6)
    assert zoning.by_streets
    share = zoning.attraction_weight / zoning.production_weight
    assert share[np.argmin(zoning.zone_x)] > 3 * share[np.argmax(zoning.zone_x)] > 0
    flat = make_zones(network, 6, centre_pull=0.0)
    np.testing.assert_allclose(flat.attraction_weight, flat.production_weight)


def test_a_bend_is_no_intersection() -> None:
    """A main street of 40 nodes; side streets leave the first ten alone, and there the attraction is."""
    n, n_sides = 40, 10
    ends = [(k, k + 1) for k in range(n - 1)] + [(k, n + k) for k in range(n_sides)]
    both = np.array(ends + [(b, a) for a, b in ends], dtype=np.int32)
    xy = [(k * 200.0, 0.0) for k in range(n)] + [(k * 200.0, 200.0) for k in range(n_sides)]
    network = plain_network(
        "main street",
        node_xy=xy,
        tail_idx=both[:, 0],
        head_idx=both[:, 1],
        free_flow_time_s=np.ones(len(both)),
        capacity_vph=np.full(len(both), 500.0),
    )
    zoning = make_zones(network.replace(link_classes=("tertiary",)), 4)
    share = (zoning.attraction_weight / zoning.production_weight)[np.argsort(zoning.zone_x)]
    # Zone 1 sees about nine junctions from anywhere, the two in the east none: there only the one that is added counts.
    assert share[0] > 6 * share[2]
    assert share[2] == pytest.approx(share[3], rel=1e-12)


def test_connectors_take_the_streets_that_carry_most() -> None:
    """In a grid where every third avenue is wide, connectors stand on the wide ones."""
    network = without_zones(grid(12, 12))
    column = np.arange(network.n_nodes) % 12
    wide = (column[network.tail_idx] == column[network.head_idx]) & (column[network.tail_idx] % 3 == 1)
    network = network.replace(capacity_vph=np.where(wide, 3000.0, 500.0))
    chosen = np.concatenate(make_zones(network, 2).connector_node_idx)
    assert len(chosen) == 2 * CONNECTORS_PER_ZONE
    assert np.all(column[chosen] % 3 == 1)


def test_city_zones_are_balanced_whole_and_the_same_again(city: RoadNetwork, city_zoning: Zoning) -> None:
    production = city_zoning.production_weight
    assert production.max() / production.min() < 1.06
    assert production.sum() == pytest.approx(lived_in_length_m(city).sum(), rel=1e-12)
    assert set(city_zoning.zone_of_node_idx.tolist()) == set(range(150))
    assert np.all(city_zoning.attraction_weight > 0)
    again = make_zones(city, 150)
    for name in ("zone_x", "zone_y", "zone_of_node_idx", "production_weight", "attraction_weight"):
        assert getattr(again, name).tobytes() == getattr(city_zoning, name).tobytes()


def test_city_centres_attract(city: RoadNetwork, city_zoning: Zoning) -> None:
    """The centres of La Serena and Coquimbo draw more than they produce, the villages in the south less."""
    share = (
        city_zoning.attraction_weight
        / city_zoning.production_weight
        / city_zoning.attraction_weight.sum()
        * city_zoning.production_weight.sum()
    )
    for x, y in ((-71.2500, -29.9027), (-71.3395, -29.9533)):
        nearest = np.argsort(np.hypot((city_zoning.zone_x - x) * 0.87, city_zoning.zone_y - y))[:3]
        assert share[nearest].mean() > 1.4
    assert share[city_zoning.zone_y < -30.0].mean() < 0.5


def test_city_connectors_are_spread_and_carry_their_trips(city: RoadNetwork, city_zoning: Zoning) -> None:
    x_m, y_m = local_metres(city)
    out_vph = np.bincount(city.tail_idx, weights=city.capacity_vph, minlength=city.n_nodes)
    used = np.concatenate(city_zoning.connector_node_idx)
    assert len(np.unique(used)) == len(used) == 150 * CONNECTORS_PER_ZONE
    spread = []
    for zone_idx, nodes in enumerate(city_zoning.connector_node_idx):
        members = city_zoning.zone_of_node_idx == zone_idx
        assert members[nodes].all()
        apart_m = np.hypot(x_m[nodes][:, None] - x_m[nodes], y_m[nodes][:, None] - y_m[nodes])
        assert apart_m[~np.eye(len(nodes), dtype=bool)].min() > 30
        spread.append(np.hypot(x_m[nodes].std(), y_m[nodes].std()) / np.hypot(x_m[members].std(), y_m[members].std()))
    # Zones of two villages keep their connectors in one of them, so the usual zone counts.
    assert np.median(spread) > 0.6
    # 60,000 trips among 750 connectors are 80 each; twenty times that would still leave.
    assert np.quantile(out_vph[used], 0.05) > 1000
    assert np.median(out_vph[used]) > np.median(out_vph)


def test_city_connectors_stay_near_their_centre(city: RoadNetwork, city_zoning: Zoning) -> None:
    x_m, y_m = local_metres(city)
    weight = lived_in_length_m(city)
    narrowing = np.cos(np.deg2rad(city.node_y.mean()))
    for zone_idx, nodes in enumerate(city_zoning.connector_node_idx):
        members = np.flatnonzero(city_zoning.zone_of_node_idx == zone_idx)
        centre_x_m = city_zoning.zone_x[zone_idx] * 111_194.93 * narrowing
        centre_y_m = city_zoning.zone_y[zone_idx] * 111_194.93
        away_m = np.hypot(x_m - centre_x_m, y_m - centre_y_m)
        reach_m = away_m[nodes].max() / CONNECTOR_REACH
        # At least half of the residents live beyond the farthest connector over the reach.
        assert weight[members][away_m[members] >= reach_m - 1e-6].sum() >= weight[members].sum() / 2


def test_apply_adds_closed_centres(city: RoadNetwork, city_zoning: Zoning) -> None:
    network = city_zoning.apply(city)
    assert network.n_zones == 150 and network.n_nodes == city.n_nodes + 150
    assert not network.node_passable[network.zone_node_idx].any()
    assert int(network.is_connector.sum()) == 2 * 150 * CONNECTORS_PER_ZONE


def test_fifty_thousand_nodes() -> None:
    network = without_zones(grid(225, 225, block_m=120.0)).replace(link_classes=("residential",))
    zoning = make_zones(network, 300)
    assert zoning.n_zones == 300
