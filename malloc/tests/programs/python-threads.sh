# needs: python3
# version: python3 --version
# measured: no
# Its own regression tests of threads and of other processes, which wait more than they work. What is compared is which of them fail, and how
# many there are: of some that are skipped here.
python3 -c 'import test.test_threading' 2>/dev/null || { echo "no regression tests"; exit 0; }
some='-m *.RunFuncTestCase.* -m *.ContextManagerTests.* -m *.MiscTests.* -m *.POSIXProcessTestCase.test_[cfp]*'
if [ "$SCALE" -ge 4 ]; then some=; fi
set -f
python3 -m test -v test_subprocess $some >processes 2>&1 &
python3 -m test -v test_threading >threads 2>&1
wait
for log in processes threads; do
    grep -hE '^(FAIL|ERROR): ' $log | sort -u
    grep -E '^Total tests: ' $log || { cat $log >&2; exit 1; }
done
