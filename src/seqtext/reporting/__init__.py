"""Reports over finished runs: tables, tests, figures."""
