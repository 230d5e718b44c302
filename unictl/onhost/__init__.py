"""The host side: standard library only, Python 3.9 or later, and it imports nothing else of unictl.

Folders, low to high (each imports only the ones before it): errors, protocol, storage, platform, systemd,
hypervisors, lease, instances, images, ingress, supervision, health, survey, handlers, dispatcher.
"""
