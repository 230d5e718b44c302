"""The steps of a plan as a graph: nodes and edges, their layout, and Mermaid, DOT and SVG. Pure."""
