# needs: python3
# version: python3 --version
# Its own regression tests: what they print has times in it, so the verdict is what is compared.
tests='test_list test_dict test_json'
if [ "$SCALE" -gt 1 ]; then tests="$tests test_threading test_subprocess"; fi
python3 -c 'import test.test_list' 2>/dev/null || { echo "no regression tests"; exit 0; }
status=0
python3 -m test $tests >log 2>&1 || { status=$?; cat log >&2; }
echo "$tests: $status"
exit "$status"
