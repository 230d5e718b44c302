"""What a plan will need: time, free memory at the lowest point, and the sources of its images. Pure."""
