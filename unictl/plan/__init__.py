"""Live state and wished fleet -> changes, steps and refusals, as one value. Pure; door to networkx."""
