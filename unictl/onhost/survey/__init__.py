"""The parts of a survey: what this host is and lacks, the row of each instance, damaged files, other stores.

instance_row, host_facts, capabilities, damage, other_stores. ``handlers.survey`` puts them together.
"""
