"""A conversion whose model file is written."""

from __future__ import annotations

from pathlib import Path

from ulnn_host.base import files
from ulnn_host.data.sequences import Sequences
from ulnn_host.network.float_network import FloatNetwork
from ulnn_host.quantize.options import Options
from ulnn_host.report.conversion import Wishes, convert_network
from ulnn_host.report.convert_report import ConvertReport


def convert_to_file(
    network: FloatNetwork, data: Sequences, options: Options, wishes: Wishes, output: Path
) -> ConvertReport:
    """What `convert_network` reports."""
    done = convert_network(network, data, options, wishes)
    files.write(output, done.content)
    return done.report
