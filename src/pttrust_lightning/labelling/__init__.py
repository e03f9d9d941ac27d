"""From generated programs to labelled lines: run the tests, judge the programs, find the wrong lines."""
