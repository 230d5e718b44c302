"""Starts, watches, restarts and stops instances, by systemd units where systemd runs, else by a daemon of our own.

supervisor: chooses between both for a request; detached_supervisor, systemd_supervisor, systemd_start: what each does;
daemon_client: starts and asks the daemon; daemon, supervised_process, console: the daemon and its instances, the same
in both; backends, launchers, exit_sources: what differs inside the daemon; systemd_daemon, start_instance,
start_ingress: the programs that units run.
"""
