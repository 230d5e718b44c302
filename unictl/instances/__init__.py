"""Desired and live instances, their launch documents and their placement. Pure.

observed: what hosts report. desired: what the file declares. launch: what a host is handed. placement: which host.
"""
