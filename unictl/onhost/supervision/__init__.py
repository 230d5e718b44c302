"""Starts, watches, restarts and stops instances, by systemd units where systemd runs, else by a daemon of our own.

supervisor: the entry point, chooses between both; daemon_client: starts and asks the daemon; daemon,
supervised_process, console: the detached daemon and its instances; systemd_daemon, systemd_instance, systemd_start:
the same under systemd; start_instance, start_ingress: the programs that units run.
"""
