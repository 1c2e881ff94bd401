"""Probes: beginnings of texts that the world goes on with."""

from instructloop.lab.probes import copying_probes, fact_probes
from instructloop.lab.words import PEOPLE
from instructloop.lab.world import FACTS, read_fact


def test_a_copying_probe_goes_on_with_a_name_that_was_given() -> None:
    probes = copying_probes(0, 200)
    assert probes == copying_probes(0, 200)
    for probe in probes:
        assert probe.after.strip() in PEOPLE
        assert probe.after.strip() in probe.before
        assert not probe.before.endswith(" ")


def test_a_fact_probe_goes_on_with_the_truth() -> None:
    probes = fact_probes()
    assert len(probes) == len(FACTS)
    told = [read_fact(f"{probe.before}{probe.after}.") for probe in probes]
    assert all(fact is not None and FACTS[fact[0], fact[1]] == fact[2] for fact in told)
