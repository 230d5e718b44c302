"""The ingress of a fleet on one host: the HAProxy process, the ports it binds, its status, and its restarts.

haproxy: find, query, start and signal the processes; haproxy_start: one asynchronous start; ingress_ports: parse
and check bind addresses; ingress_status: what a survey reports; ingress_watcher: restarts a HAProxy that exited.
"""
