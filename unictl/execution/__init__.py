"""Carries plans out: survey all hosts, acquire leases, walk the step graph, wait for health checks, report."""
