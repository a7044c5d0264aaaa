"""Language of many texts at once: langid's own model, with langid's own labels.

langid scores one text with a dense product over all 7,480 features. Here the byte automaton runs
over a whole batch at once and the scores are one sparse product. Sums in another order differ in
the last bits, so a text whose two best languages are all but equal is left to langid itself.

Source: M. Lui and T. Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012.
"""

from array import array
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

MARGIN = 1e-9
"""Difference of the two best scores, relative to the best, below which langid itself decides."""

BATCH_BYTES = 1 << 20
"""Bytes of text scored at once: the arrays of one batch fit the processor's cache."""


class LanguageModel:
    """langid's model, as plain arrays.

    Attributes:
        codes: str (97,), ISO 639-1 codes in langid's order.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Prepare the model.

        Args:
            arrays: build/resources/langid.npz: `codes` str (l,); `log_likelihood` float32 (f, l),
                by feature and language; `log_prior` float32 (l,); `next_state` uint16 (s * 256,),
                the state that follows a state on a byte; `output_state` and `output_feature`
                int64 (o,), the features counted on entering a state.
        """
        self.codes = arrays["codes"]
        self._arrays = arrays
        self._next_state = arrays["next_state"]
        self._log_prior = arrays["log_prior"].astype(np.float64)
        features, states = arrays["output_feature"], arrays["output_state"]
        log_likelihood = arrays["log_likelihood"].astype(np.float64)
        counted = sparse.csr_array(
            (np.ones(len(states)), (states, features)),
            shape=(len(self._next_state) // 256, len(log_likelihood)),
        )
        self._by_state = counted @ log_likelihood  # (states, languages)
        self._counts = np.diff(counted.indptr) > 0
        self._langid = None

    def classify(self, texts: Sequence[str]) -> list[str]:
        """Label texts as `langid.classify` does.

        Args:
            texts: n texts, of any length; an empty one gets langid's label for no evidence.

        Returns:
            n codes, in the order of the texts.
        """
        encoded = [text.encode() for text in texts]
        codes: list[str] = []
        first = size = 0
        for last, document in enumerate(encoded, start=1):
            size += len(document)
            if size >= BATCH_BYTES or last == len(encoded):
                codes += self._classify_batch(texts[first:last], encoded[first:last])
                first, size = last, 0
        return codes

    def _classify_batch(self, texts: Sequence[str], encoded: list[bytes]) -> list[str]:
        """Score the documents by one sparse product; where it is close, ask langid."""
        states, offsets = self._states(encoded)
        kept = self._counts[states]
        kept_before = np.concatenate([[0], np.cumsum(kept)])
        states = states[kept]
        entered = sparse.csr_array(
            (np.ones(len(states)), states, kept_before[offsets]),
            shape=(len(encoded), len(self._by_state)),
        )
        scores = entered @ self._by_state + self._log_prior  # (n, languages)
        codes = self.codes[scores.argmax(axis=1)].tolist()
        second, best = np.partition(scores, -2, axis=1)[:, -2:].T
        for row in np.flatnonzero(best - second < MARGIN * np.maximum(1, np.abs(best))):
            codes[row] = self._identifier().classify(texts[row])[0]
        return codes

    def _states(self, encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Run the automaton over every byte: states (bytes,) and documents' offsets (n + 1,).

        Each sweep moves every byte on from the state found before it. A sweep that changes nothing
        has found the one run of the automaton; langid's patterns are short, so it comes soon.
        """
        offsets = np.concatenate([[0], np.cumsum([len(document) for document in encoded])])
        data = np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(np.int32)
        starts = offsets[:-1][np.diff(offsets) > 0]
        before = np.zeros(len(data), dtype=np.int32)
        states = self._next_state[data]
        while True:
            before[1:] = states[:-1]
            before[starts] = 0
            after = self._next_state[(before << 8) | data]
            if np.array_equal(after, states):
                return states, offsets
            states = after

    def _identifier(self):
        """Build langid's own classifier from the same arrays, once."""
        if self._langid is None:
            from langid.langid import LanguageIdentifier

            outputs: dict[int, tuple[int, ...]] = {}
            pairs = zip(self._arrays["output_state"], self._arrays["output_feature"], strict=True)
            for state, feature in pairs:
                outputs[int(state)] = (*outputs.get(int(state), ()), int(feature))
            log_likelihood = self._arrays["log_likelihood"]
            self._langid = LanguageIdentifier(
                log_likelihood,
                self._arrays["log_prior"],
                len(log_likelihood),
                self.codes.tolist(),
                array("H", self._next_state.tolist()),
                outputs,
            )
        return self._langid
