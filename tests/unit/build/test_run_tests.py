"""The test runner counts what the programs report: a swallowed failure would make every other test worthless."""

import os
import sys

import tap

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../tools"))
from run_tests import count_program, summary  # noqa: E402


def check(expected, output, result, returncode=0):
    found = count_program(output, result, returncode)
    assert found == expected, f"expected {expected}, found {found}"


def counts_cases():
    check((2, 0, 0), "1..2\nok 1 - a\nok 2 - b\n", "OK")
    check((1, 1, 0), "1..2\nok 1 - a\nnot ok 2 - b\n# why\n", "FAIL", 1)


def counts_skips():
    check((1, 0, 2), "1..3\nok 1 - a\nok 2 - b # SKIP no io_uring\nnot ok 3 # TODO later\n", "OK")
    check((0, 0, 1), "1..0 # SKIP no such kernel\n", "SKIP")
    check((1, 0, 1), "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", "FAIL")
    check((1, 1, 1), "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", "FAIL", 1)


def counts_cases_lost_in_a_crash():
    check((1, 2, 0), "1..3\nok 1 - a\n", "ERROR", -6)
    check((0, 1, 0), "", "TIMEOUT", -15)


def counts_failure_after_the_last_case():
    check((1, 1, 0), "1..1\nok 1 - a\n", "ERROR", 1)


def ignores_other_output():
    check((1, 0, 0), "okay\nnothing\n1..1\nok 1 - a # not a directive\n", "OK")


def writes_the_plain_line():
    assert summary(3, 0, 0) == "3 passed, 0 failed"
    assert summary(3, 1, 2) == "3 passed, 1 failed, 2 skipped"


tap.run(
    counts_cases,
    counts_skips,
    counts_cases_lost_in_a_crash,
    counts_failure_after_the_last_case,
    ignores_other_output,
    writes_the_plain_line,
)
