"""What a visitor takes home: the links of both worlds as CSV."""

from __future__ import annotations

import csv
import io

from dashboard.scene import LinkState, Moment, Scene


def links_csv(scene: Scene, moment: Moment | None) -> str:
    """Return one row a link: id, street, length, capacity, and flow, time and delay to others in both worlds.

    In queue traffic the rows say what the links carry at the moment on show.
    """
    city, left, right = scene.city, scene.left, scene.right
    assert city is not None and left is not None and right is not None  # nothing can be saved before
    network = city.built.network
    states: list[tuple[str, LinkState]] = []
    for number, world in enumerate((left, right)):
        state = moment.panes[number].links if moment is not None and scene.is_queue else world.links
        if state is not None:
            states.append((f"{('left', 'right')[number]}_{world.key}", state))
    head = ["link_id", "street", "length_m", "capacity_vph", "free_flow_time_s"]
    columns = []
    for name, state in states:
        head += [f"{name}_flow_vph", f"{name}_travel_time_s"]
        columns += [state.flow_vph, state.time_s]
        if state.external_s is not None:
            head.append(f"{name}_marginal_external_s")
            columns.append(state.external_s)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    for link in range(network.n_links):
        fixed = (network.length_m[link], network.capacity_vph[link], network.free_flow_time_s[link])
        values = (f"{float(value):.6g}" for value in (*fixed, *(column[link] for column in columns)))
        writer.writerow([network.link_id[link], network.street_name(link), *values])
    return file.getvalue()
