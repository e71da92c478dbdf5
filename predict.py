"""Use a trained model on texts or a file of them; `python predict.py --help` says how."""

import sys

from seqtext.cli import told_simply
from seqtext.predict.command import main

if __name__ == "__main__":
    told_simply(lambda: main(sys.argv[1:]))
