"""Use a trained model on texts or a file of them; `python predict.py --help` says how."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.error_handling import run_with_friendly_errors
    from seqtext.inference.command import main

    run_with_friendly_errors(lambda: main(sys.argv[1:]))
