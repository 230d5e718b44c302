"""Guest families, one module each: how to recognise, check, start and judge a guest. Pure."""
