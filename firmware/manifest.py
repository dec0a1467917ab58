# What a firmware of ours freezes. Not ulnn.py: frozen modules come before /lib, so it would hide
# a native ulnn.mpy put there (and a ulnn built into the firmware needs no pure one).
metadata(version="0.2.0", description="Liquid networks on boards: streaming and rules")  # noqa: F821

module("ulnn_stream.py")  # noqa: F821
module("ulnn_record.py")  # noqa: F821
module("ulnn_live.py")  # noqa: F821
package("ulnn_rules")  # noqa: F821
