"""Family ``mirage``: MirageOS on Solo5. Announced: its files are recognised, but it cannot be run yet. Pure."""

from unictl.guests.image_header import ImageHeader

NAME = "mirage"


def recognise(header: ImageHeader) -> bool:
    """A note of Solo5's, or the program that Solo5's linker names as interpreter."""
    return "solo5.target" in header.notes or header.interpreter().startswith("/nonexistent/solo5/")
