"""From a finished run to numbers and pictures."""
