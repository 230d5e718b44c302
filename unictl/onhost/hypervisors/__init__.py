"""Hypervisors on the host side, one package for each: everything that knows how a particular hypervisor behaves."""
