"""Random SQL for two engines: rows, typed expressions, statements; both engines asked the same; what differs made small.

`tree` is what statements are made of, `values` makes literals, `grammar` expressions, `statements` whole statements, `engines` asks, `shrink` shrinks.
"""
