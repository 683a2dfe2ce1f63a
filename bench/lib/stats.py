"""Medians, ratios, ties."""

import statistics

# Differences below that are not told from noise.
TIE_CPU = 0.03
TIE_RATE = 0.05


def values(rounds, server, of):
    """One value for each round that has this server."""
    return [of(one[server]) for one in rounds if server in one and of(one[server]) is not None]


def median(rounds, server, name):
    """Of a figure; None when it was never measured."""
    known = values(rounds, server, lambda cell: cell.get(name))
    return statistics.median(known) if known else None


def ratio(rounds, server, reference, name="cpu_us"):
    """The median over the rounds of the ratio within each: a machine whose speed drifts takes both with it."""
    known = [
        one[server][name] / one[reference][name]
        for one in rounds
        if server in one and one.get(reference, {}).get(name) and one[server].get(name) is not None
    ]
    return statistics.median(known) if known else None


def noise(rounds, reference):
    """How far the reference is from itself under another name; nothing where that was not measured."""
    value = ratio(rounds, f"{reference} again", reference)
    return 0.0 if value is None else abs(value - 1)


def is_tie(value, tolerance=TIE_CPU):
    """Whether a ratio is 1 as far as can be told. The bound itself is a difference."""
    return value is not None and abs(value - 1) < tolerance - 1e-9
