"""Train one model on one data set, or sweep over many (-m); `python train.py --help` says how."""

import signal
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.scripts import train

    train(Path(__file__).absolute().parent / "conf")
