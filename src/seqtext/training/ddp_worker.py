"""What the other processes of a run do: the same training, on their share of every batch.

`processes.others` starts it, and kills it when it is done; it ends too with its standard input.
"""

import json
import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import lightning as L
from torch.distributed import TCPStore

from seqtext.config.run_config import build_datamodule, validate_config
from seqtext.distributed import HOST, ProcessInfo, init_process_group
from seqtext.errors import UserError
from seqtext.run_dir import RunDir
from seqtext.training.fit import fit_rank


def follow(process: ProcessInfo, port: int, folder: Path) -> None:
    """Train and predict with the others; the folder is read, never written."""
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    store = TCPStore(HOST, port, process.world_size)
    settings = json.loads(store.get("settings"))
    options, split = validate_config(settings)
    data = build_datamodule(settings, options, split)
    L.seed_everything(options.seed, verbose=False)
    store.set(f"ready/{process.rank}", "")
    init_process_group(process, store)
    fit_rank(settings, options, data, RunDir(folder), None, process)
    signal.pause()  # until the first process has what it needs


def _end_with_the_first() -> None:
    os.read(0, 1)  # standard input ends when the first process closes it, or is gone
    os._exit(0)


def main() -> None:
    """Arguments: rank, processes, port, folder. Says nothing that the first process says too."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rank, count, port, folder = sys.argv[1:]
    try:
        follow(ProcessInfo(int(rank), int(count)), int(port), Path(folder))
    except UserError:
        sys.exit(2)
