"""The store of a host: its layout, atomic writes, guarded reads, locks and fencing. Every change of files goes
through here.
"""
