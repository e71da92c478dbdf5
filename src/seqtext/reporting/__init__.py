"""Report finished runs: tables, significance tests, figures."""
