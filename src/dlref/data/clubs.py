"""A graph of people: Zachary's karate club."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["KarateClub", "karate_club"]

FRIENDS = """
1 2 3 4 5 6 7 8 10 11 12 13 17 19 21 31; 2 3 7 13 17 19 21 30; 3 7 8 9 13 27 28 32; 7 12 13; 6 10; 6 10 16; 16; ;
30 32 33; 33; ; ; ; 33; 32 33; 32 33; ; ; 32 33; 33; 32 33; ; 32 33; 25 27 29 32 33; 25 27 31; 31; 29 33; 33; 31 33;
32 33; 32 33; 32 33; 33;
"""
OFFICER = (9, 14, 15, 18, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33)


class KarateClub(NamedTuple):
    """The graph and who went where."""

    edges: NDArray
    sides: NDArray


def karate_club() -> KarateClub:
    """Return the friendships between 34 members of a karate club, and the side each took when the club split.

    Returns
    -------
    KarateClub
        `edges`, the 78 friendships as pairs of members, the smaller number first, without the weights that some
        libraries add; `sides`, 0 for those who stayed with the instructor, member 0, and 1 for those who went with the
        officer, member 33.

    See Also
    --------
    dlref.layers.gcn_layer : Guesses the sides from two of them.

    References
    ----------
    Zachary (1977), "An information flow model for conflict and fission in small groups". The edges and sides are those
    of networkx.karate_club_graph, without weights.

    Examples
    --------
    >>> edges, sides = karate_club()
    >>> edges.shape, int(sides.sum())
    ((78, 2), 17)
    """
    rows = [row.split() for row in FRIENDS.replace("\n", " ").split(";")]
    edges = [(a, int(b)) for a, row in enumerate(rows) for b in row]
    sides = np.zeros(34, np.int64)
    sides[list(OFFICER)] = 1
    return KarateClub(np.array(edges), sides)
