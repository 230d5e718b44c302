"""The desired state: instances as the fleet file declares them, their launch specs and fingerprints. Pure."""
