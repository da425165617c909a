"""Compares samples that a client received with a recording of the same run, exported with `--counts`: none may differ.

    pip install numpy
    python compare.py SAMPLES.npz TABLE.csv MARKER
"""
import csv
import sys

import numpy as np

samples, table, marker = sys.argv[1:]
received = np.load(samples)
indexes, values = received["indexes"], received["values"]
with open(table, newline="") as file:
    rows = list(csv.reader(file))
assert rows[0][:2] == ["sample", "time_s"] and rows[0][-1] == "marker", rows[0]
recorded = np.array([row[:1] + row[2:-1] for row in rows[1:]], dtype=np.int64)
assert [row[-1] for row in rows[1:] if row[-1]] == [marker]

assert len(indexes) > 0 and np.array_equal(indexes, np.arange(indexes[0], indexes[0] + len(indexes))), "not in a row"
place = np.searchsorted(recorded[:, 0], indexes)
assert np.array_equal(recorded[place, 0], indexes), "received, but not recorded"
assert np.array_equal(recorded[place, 1:], values), "another value"
print(f"{len(indexes)} samples of {values.shape[1]} channels, received as recorded")
