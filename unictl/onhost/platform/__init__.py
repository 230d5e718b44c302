"""The host's operating system: processes, programs, sockets, SELinux, privileges, the event loop, and our own code."""
