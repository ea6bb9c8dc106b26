"""Road networks: the frozen columns, their readers, their cleaning.

`road_network` has the columns, `tntp`, `osm` and `synthetic` the sources, `store` the project's own file form and the bundled
cities, `connectors` the zone centres, `validate` the checks. Nothing is imported here: OSMnx and its dependencies load with
`osm` alone.
"""
