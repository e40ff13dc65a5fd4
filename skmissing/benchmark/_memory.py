"""Peak memory of a piece of work, as far as the system tells."""

from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMemory:
    """Measures by how much the process grows inside a `with` block.

    Linux keeps the largest resident set of a process, and lets it start anew; other
    systems do not, and there `peak_mb` stays None.

    Attributes
    ----------
    peak_mb : float or None
        Largest resident set inside the block less that at its start, in MiB. What
        earlier work has left for reuse is not counted again.
    """

    def __init__(self):
        self.peak_mb = None
        self._start = None

    def __enter__(self):
        try:
            _CLEAR.write_text("5")
            self._start = _read("VmRSS")
        except (OSError, ValueError):
            self._start = None
        return self

    def __exit__(self, *exc_info):
        if self._start is not None:
            self.peak_mb = round(max(0.0, _read("VmHWM") - self._start) / 1024, 1)


def _read(field):
    """A line of the process status, in KiB."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise ValueError(f"{_STATUS} has no {field}.")
