"""What is read of a file is all of it."""

from pathlib import Path

from unictl.onhost.storage import guarded_read


def test_a_file_of_proc_is_read_to_its_end_though_it_comes_a_page_at_a_time() -> None:
    whole = Path("/proc/kallsyms").read_bytes()
    assert len(whole) > 65536
    assert guarded_read.read_bytes("/proc/kallsyms") == whole
