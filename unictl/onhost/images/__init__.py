"""The image store of a host: pins, integrity, deduplication against similar images, and retention."""
