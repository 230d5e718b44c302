"""QEMU on the host side: choice of the accelerator, and the connection to its monitor (QMP)."""
