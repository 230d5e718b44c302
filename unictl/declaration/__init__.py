"""Text of fleet files -> Fleet, problems and places. Pure: no files, no git; door to pyyaml and jsonschema."""
