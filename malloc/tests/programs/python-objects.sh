# needs: python3
# version: python3 --version
# Every object of Python's from malloc, without the allocator that it has for small ones.
export PYTHONMALLOC=malloc PYTHONHASHSEED=0
exec python3 -S -c '
import json, os, threading
scale = int(os.environ["SCALE"])
def work(seed, answers):
    table = {}
    for i in range(20000 * scale):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        table.setdefault(seed % 3000, []).append("text %d" % seed)
        if i % 7 == 0: table.pop(seed % 2999, None)
    text = json.dumps(table, sort_keys=True)
    again = json.loads(text)
    answers[threading.current_thread().name] = (len(text), len(again), sum(map(len, again.values())))
answers = {}
threads = [threading.Thread(target=work, args=(n, answers), name=str(n)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(answers.items()))
'
