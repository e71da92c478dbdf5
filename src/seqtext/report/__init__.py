"""From finished runs to one table that can be believed: groups, tests of difference, a page."""
