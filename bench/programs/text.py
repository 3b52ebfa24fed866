"""Words counted, matched, encoded: dictionaries, strings, regular expressions, JSON."""
import json
import re
import sys

with open(sys.argv[1]) as file:
    text = file.read()
counts = {}
for word in text.split():
    counts[word] = counts.get(word, 0) + 1
common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:500]
pattern = re.compile(r"\b(con|pra)(\w*?)(ba|ker)\b")
pairs = {}
for match in pattern.finditer(text):
    pairs.setdefault(match.group(1), []).append(match.group(2).upper())
document = {"common": common, "pairs": {key: sorted(set(value)) for key, value in pairs.items()}}
for _ in range(100):
    document = json.loads(json.dumps(document))
print(len(counts), document["common"][0], {key: len(value) for key, value in document["pairs"].items()})
print(" ".join(word.replace("ba", "-")[::-1] for word, _ in document["common"][:20]))
