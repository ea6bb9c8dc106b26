"""The live page: a Solara application that shows the worlds of a scenario as they converge.

`page` lays it out, `controller` runs the worlds of one visitor in a thread of their own, `figures` turns them into words and
numbers, `streets` and `paint` into the bytes that `city_map` draws; `launch` starts the server.
"""
