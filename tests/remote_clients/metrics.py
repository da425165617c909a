"""Reads /metrics twice with the parser of the Prometheus client.

    pip install prometheus-client
    python metrics.py http://127.0.0.1:9300/metrics
"""
import sys
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def scraped():
    """The kind of every family, and every value by name and labels."""
    with urllib.request.urlopen(sys.argv[1]) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4"), answer.headers
        text = answer.read().decode()
    kinds, values = {}, {}
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("wavedeck_") and family.documentation, family
        assert family.type in ("counter", "gauge"), family
        assert family.name not in kinds, f"{family.name} is there twice"
        kinds[family.name] = family.type
        for sample in family.samples:
            place = (sample.name, tuple(sorted(sample.labels.items())))
            assert place not in values, f"{place} is there twice"
            assert sample.name.endswith("_total") == (family.type == "counter"), sample
            values[place] = (sample.value, family.type)
    return kinds, values


kinds, first = scraped()
time.sleep(2)
_, second = scraped()
assert first.keys() == second.keys()
for place, (value, kind) in first.items():
    assert kind == "gauge" or second[place][0] >= value, f"{place} has fallen"


def value(name, **labels):
    return second[name, tuple(sorted(labels.items()))][0]


assert value("wavedeck_healthy") == 1 and value("wavedeck_lost_samples_total") == 0
assert value("wavedeck_pipeline_state", state="running") == 1 and value("wavedeck_pipeline_state", state="paused") == 0
assert value("wavedeck_produced_samples_total") > first["wavedeck_produced_samples_total", ()][0]
assert value("wavedeck_output_samples_total", stage="board", port="out") == value("wavedeck_produced_samples_total")
assert value("wavedeck_link_dropped_samples_total", link="board.out -> volts.in", policy="block") == 0
print(f"{len(kinds)} families, {len(second)} values")
