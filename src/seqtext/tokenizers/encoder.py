"""The tokenizer of a pretrained encoder."""

from typing import Any

import numpy as np

from seqtext.data.corpus import TokenizedCorpus
from seqtext.encoders.architecture import count_text_tokens, describe_tokens
from seqtext.encoders.files import DEFAULT_ENCODER, TOKENIZER, EncoderFiles, locate_encoder
from seqtext.errors import UserError
from seqtext.tokenizers.base import TruncationSide
from seqtext.tokenizers.pretrained import PretrainedTokenizer
from seqtext.validation import PositiveInt, validate_args


class EncoderTokenizer(PretrainedTokenizer):
    """Splits texts as a pretrained encoder does, which adds its special tokens itself.

    Args:
        path: see `locate_encoder`
        download: whether the encoder may be downloaded from the Hugging Face hub
        max_length: maximum number of tokens of a text; None, or more than the encoder's positions
            for it: as many as these
        truncation_side: the side of a longer text that is cut
    """

    @validate_args
    def __init__(
        self,
        path: str = DEFAULT_ENCODER,
        download: bool = False,
        max_length: PositiveInt | None = 254,
        truncation_side: TruncationSide = "right",
    ):
        super().__init__(path, max_length, truncation_side)
        self._download = download

    def settings(self) -> dict[str, Any]:
        """See `Tokenizer.settings`; the limit of the encoder is part of the result."""
        return super().settings() | {"limit": self._count_text_tokens()}

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        """Read the files; the texts are not used."""
        super().fit(corpus, rows)
        limit = self._count_text_tokens()
        self.max_length = limit if self.max_length is None else min(self.max_length, limit)

    def _count_text_tokens(self) -> int:
        return count_text_tokens(describe_tokens(self._locate()))

    def _locate(self) -> EncoderFiles:
        assert self.path is not None
        return locate_encoder(self.path, self._download)

    def _read_file(self) -> str:
        try:
            return self._locate().read(TOKENIZER).decode()
        except UnicodeDecodeError as error:
            raise UserError(f"model.path={self.path}: {TOKENIZER} is not UTF-8.") from error
