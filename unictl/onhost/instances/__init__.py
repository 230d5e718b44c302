"""Instances on the host: their records, run log and console log, what they claim, how they ended, and how they are
started.
"""
