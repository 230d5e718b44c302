"""Survey all hosts, take leases, walk the graph, prove, report."""
