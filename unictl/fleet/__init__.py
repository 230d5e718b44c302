"""The fleet as typed values: names, quantities, references, the model and its rules. Pure; no files, no places."""
