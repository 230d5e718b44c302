"""Hypervisor drivers: a guest's boot and its attachments -> a Launch with path tokens and an exit table. Pure."""
