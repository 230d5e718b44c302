"""The fleet as typed values: model, names, quantities, references, selections and the rules that check them.

Pure: reads no files and knows no places.
"""
