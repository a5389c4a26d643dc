#!/usr/bin/python3
"""Runs a build directory's tests and counts their single cases.

    tools/run_tests.py BUILD_DIR [arguments of meson test...]

Meson runs the programs and keeps their TAP output; this adds up the cases in it. The last line is
`N passed, N failed[, N skipped]`. Exit status 1 when a case or a program failed, or when nothing ran.
With RDB_TEST_TALLY in the environment the three numbers are also appended to that file.
"""

import json
import os
import re
import subprocess
import sys

PLAN = re.compile(r"1\.\.(\d+)")
CASE = re.compile(r"(not )?ok\b[^#]*(?:#\s*(skip|todo)\b)?", re.IGNORECASE)


def count_tap(text):
    """(passed, failed, skipped, planned) of one program's TAP output. A failing `# TODO` case counts as skipped."""
    passed = failed = skipped = planned = 0
    for line in text.splitlines():
        if plan := PLAN.match(line):
            planned += int(plan[1])
        elif case := CASE.match(line):
            directive = (case[2] or "").lower()
            if directive == "skip" or (directive == "todo" and case[1]):
                skipped += 1
            elif case[1]:
                failed += 1
            else:
                passed += 1
    return passed, failed, skipped, planned


def count_program(output, result, returncode):
    """(passed, failed, skipped) of one program. Planned cases that a crash or a time-out swallowed have failed."""
    passed, failed, skipped, planned = count_tap(output)
    failed += max(0, planned - passed - failed - skipped)
    if result == "SKIP" and passed + failed + skipped == 0:
        skipped = 1
    elif result == "FAIL" and returncode == 0 and skipped > 0:
        pass  # cmocka writes "not ok 1 # SKIP", which meson takes for a failure
    elif result not in ("OK", "SKIP", "EXPECTEDFAIL") and failed == 0:
        failed = 1  # such as a sanitizer's report at exit, or a program that printed nothing
    return passed, failed, skipped


def summary(passed, failed, skipped):
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def main(build_dir, meson_args):
    log = os.path.join(build_dir, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)  # never count an earlier run
    meson = "/usr/bin/meson" if os.path.exists("/usr/bin/meson") else "meson"
    status = subprocess.run([meson, "test", "-C", build_dir, "--print-errorlogs", *meson_args]).returncode

    totals = [0, 0, 0]
    explained = False  # why meson's own status is not 0
    if os.path.exists(log):
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                run = json.loads(line)
                counts = count_program(run.get("stdout", ""), run["result"], run["returncode"])
                totals = [total + count for total, count in zip(totals, counts)]
                if counts[1]:
                    print(f"FAILED {run['name']}: {summary(*counts)} ({run['result']})")
                elif run["result"] == "FAIL":
                    explained = True
                    print(f"Not a failure, only skipped cases: {run['name']}: {summary(*counts)}")
    passed, failed, skipped = totals
    if status != 0 and failed == 0 and not explained:
        failed = 1  # the build broke, or meson itself failed
    if passed + failed == 0:
        print("No test ran.")

    if tally := os.environ.get("RDB_TEST_TALLY"):
        with open(tally, "a", encoding="utf-8") as out:
            out.write(f"{passed} {failed} {skipped}\n")
    print(summary(passed, failed, skipped), flush=True)
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
