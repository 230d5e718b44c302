"""Running commands on this machine. The only place on the control side that uses subprocess."""
