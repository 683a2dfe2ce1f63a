"""The parts of bench/run.

servers.py    who is measured, and how they are built
workloads.py  what is asked of them
measure.py    one server under one load
counts.py     system calls and instructions for each request
rounds.py     rounds, interleaved
stats.py      medians, ratios, ties
tables.py     tables, and the parts of pages that hold them
svg.py        drawing
charts.py     the charts
selftest.py   all of that, checked
"""
