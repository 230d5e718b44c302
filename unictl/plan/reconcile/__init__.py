"""Compares desired and live instances and decides what to do about every one of them."""
