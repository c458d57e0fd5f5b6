"""Something for the interpreter to chew on: text, dictionaries, objects, generators, JSON, a small simulation."""
import collections
import json
import re


class Node:
    def __init__(self, key, value):
        self.key, self.value, self.left, self.right = key, value, None, None


def insert(root, key, value):
    if root is None:
        return Node(key, value)
    node = root
    while True:
        if key == node.key:
            node.value += value
            return root
        side = "left" if key < node.key else "right"
        child = getattr(node, side)
        if child is None:
            setattr(node, side, Node(key, value))
            return root
        node = child


def walk(node):
    if node:
        yield from walk(node.left)
        yield node.key, node.value
        yield from walk(node.right)


def words(count):
    state, syllables = 42, ["ka", "lo", "mi", "ne", "su", "ta", "re", "vo"]
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        yield "".join(syllables[(state >> shift) % 8] for shift in range(4, 4 + 3 * (2 + state % 3), 3))


text = " ".join(words(4000))
counts = collections.Counter(re.findall(r"\w+", text))
tree = None
for word, number in counts.items():
    tree = insert(tree, word, number)
table = {word: {"count": number, "letters": sorted(set(word))} for word, number in walk(tree)}
again = json.loads(json.dumps(table, indent=1))
assert again == table

lines = []
for number, (word, entry) in enumerate(again.items()):
    lines.append(f"{number:5} {word:12} {entry['count']:4} {'-'.join(entry['letters'])}")
    if number % 50 == 49:
        lines = lines[25:]

queue, events = collections.deque([(0, 1)]), 0
while queue and events < 4000:
    time, customer = queue.popleft()
    queue.append((time + customer % 7, customer + 1))
    if customer % 3 == 0:
        queue.append((time + 1, customer * 2 % 101))
    events += 1

grid = [[(x * y) % 5 for x in range(60)] for y in range(60)]
for _ in range(3):
    grid = [[sum(grid[(y + dy) % 60][(x + dx) % 60] for dx in (-1, 0, 1) for dy in (-1, 0, 1)) % 7 for x in range(60)] for y in range(60)]
print(len(text), len(counts), len("\n".join(lines)), len(queue), sum(map(sum, grid)))
