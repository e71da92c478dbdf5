"""The console command predict: parse its options and run it."""

import logging
import sys
from collections.abc import Sequence
from typing import cast

from seqtext.command_line import HELP_FLAGS, format_help, parse_args
from seqtext.display import print_line
from seqtext.errors import UserError
from seqtext.fast_imports import fast_imports
from seqtext.inference.predict_options import PredictOptions


def main(arguments: Sequence[str]) -> None:
    """Predict, explain or export, depending on the options.

    Raises:
        UserError: if an option, the run or a file cannot be used.
    """
    if HELP_FLAGS & {*arguments}:
        print(format_help(PredictOptions), end="")
        return
    options = parse_args(PredictOptions, arguments)
    if sys.stdin is None and not (options.texts or options.input or options.export):
        raise UserError("Standard input is closed: give texts, or a file with input=.")
    with fast_imports():  # imports torch; --help does not
        from seqtext.config.trust import allow_packages
        from seqtext.inference.ensemble import load_predictor
        from seqtext.inference.export import export
        from seqtext.inference.load_model import find_checkpoint, load_model
        from seqtext.inference.predict_file import predict_file
        from seqtext.inference.predict_texts import iterate_texts, predict_texts
        from seqtext.inference.prediction_sets import PredictionSets
        from seqtext.inference.predictor import Predictor
        from seqtext.lightning_messages import silence_lightning
    silence_lightning()
    if logging.lastResort is not None:  # to the terminal: which run of a sweep is used
        logging.lastResort.setLevel(logging.INFO)
    logging.getLogger(find_checkpoint.__module__).setLevel(logging.INFO)
    with allow_packages(options.plugins):
        if options.export:
            for path in export(load_model(find_checkpoint(*options.runs)), options.export):
                print_line(f"{path}: {path.stat().st_size / 1e6:,.2f} MB")
            return
        if options.explain:
            from seqtext.inference.attribution_command import explain_texts

            explain_texts(Predictor.from_run(*options.runs), options)
            return
        predictor = load_predictor(options.runs)
        sets = None
        if options.coverage is not None:
            sets = PredictionSets(cast(Predictor, predictor), options.coverage)  # of one run
        if options.input:
            predict_file(predictor, options, sets)
        else:
            predict_texts(predictor, iterate_texts(options.texts), sets)
