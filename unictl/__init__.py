"""unictl runs fleets of microservice unikernels described in YAML, kept in git."""

__version__ = "0.1.0"
