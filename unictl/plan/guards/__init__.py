"""What refuses a plan or warns about it. Every guard yields findings; to add one, add a function here and call it
in `planner`.
"""
