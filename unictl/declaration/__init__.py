"""From the text of fleet files to a Fleet, with problems and places.

Pure: no files, no git. The only place that uses pyyaml and jsonschema.
"""
