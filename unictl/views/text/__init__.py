"""Lines of styled text for a terminal. Pure.

`spans`, `layout`, `styles`, `units`, `sorting` and `fold` are shared by the other modules, one per document.
"""
