"""What users and machines see: values in, text out. Pure.

`text` has lines for a terminal, `graph` the drawing of a plan's steps, `html` the page of a plan.
"""
