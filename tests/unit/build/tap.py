"""The least of TAP: run(case, ...) calls each function, which raises to fail, and exits accordingly."""

import sys
import traceback


def run(*cases):
    print(f"1..{len(cases)}")
    failed = False
    for number, case in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {case.__name__}")
        except Exception:
            failed = True
            print(f"not ok {number} - {case.__name__}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
    sys.exit(failed)
