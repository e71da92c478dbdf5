"""Use a trained model on texts or a file of them; `python predict.py --help` says how."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it quietly
    from seqtext.scripts import predict

    predict()
