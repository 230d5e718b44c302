"""The use cases; the only composition root.

`planning` prepares a fleet, plans and applies; `inspecting` reads without changing anything; `setup` creates fleets
and writes the lock file. `request` and `package_data` serve all of them.
"""
