"""The live page: a Solara application that shows the selfish city beside a mechanism, live or from recorded runs.

`page` lays it out; `visit` holds what belongs to one visitor. `controller` runs his show in a thread (`static_show`,
`queue_show`, `replay`) and publishes scenes (`scene`); `film` sends frames of their traffic (`vehicles`, `queue_stage`) through
`pictures` and `paint` to `city_map`. `figures`, `charts`, `books` and `trading` turn scenes into words and numbers; `overview`,
`money`, `find` and `setup` are the tabs. `wishes` reads and writes the address; `launch` starts the server.
"""
