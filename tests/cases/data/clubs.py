"""The karate club against networkx."""

import networkx
import numpy as np

from dlref.data import karate_club
from tests.cases import Bench, Proof


def same_graph(dtype):
    graph, (edges, sides) = networkx.karate_club_graph(), karate_club()
    assert {tuple(e) for e in edges.tolist()} == {tuple(sorted(e)) for e in graph.edges()}
    clubs = [graph.nodes[v]["club"] != "Mr. Hi" for v in range(34)]
    np.testing.assert_array_equal(sides, clubs)
    return 0.0, edges.size + sides.size


PROOFS = [
    Proof([karate_club], "networkx.karate_club_graph", "78 edges, 34 members", "exact", 0.0, same_graph, ("float64",))
]

BENCH = [
    Bench(
        "data.karate_club",
        "networkx.karate_club_graph",
        "34 members",
        lambda dtype: (karate_club, networkx.karate_club_graph),
        ("float64",),
    )
]
