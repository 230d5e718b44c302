"""Health checks: single probes, and the gate that waits until an instance is healthy.

health_probes: one HTTP, TCP or console check; health_gate: all checks of one instance, until they passed for long
enough.
"""
