# needs: python3
# version: python3 --version
# Its own regression tests. What they print has times in it, so what is compared is which of them fail: none, on most machines.
python3 -c 'import test.test_list' 2>/dev/null || { echo "no regression tests"; exit 0; }
python3 -m test test_list test_dict test_json >log 2>&1
grep -E '^(FAIL|ERROR): ' log | sort -u
grep -E '^Total tests: ' log || { cat log >&2; exit 1; }
