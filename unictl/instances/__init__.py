"""Launch specs, fingerprints, wished and live instances, placement, addresses. Pure."""
