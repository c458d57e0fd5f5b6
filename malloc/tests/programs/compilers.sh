# needs: gcc g++
# version: gcc --version
# Templates, the optimiser, and the linker; then what was built runs.
cat >words.cc <<'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>
int main() {
    std::unordered_map<std::string, std::vector<int>> index;
    std::ostringstream text;
    for (int i = 0; i < 20000; i++) text << "word" << i * 7919 % 1009 << (i % 10 ? ' ' : '\n');
    std::istringstream in(text.str());
    std::string word;
    for (int at = 0; in >> word; at++) index[word].push_back(at);
    std::map<std::string, std::size_t> counts;
    std::regex digits("word([0-9]*)5");
    for (auto &[name, places] : index)
        if (std::regex_match(name, digits)) counts[name] = places.size();
    auto most = std::max_element(counts.begin(), counts.end(), [](auto &a, auto &b) { return a.second < b.second; });
    std::cout << index.size() << ' ' << counts.size() << ' ' << most->first << '\n';
}
END
g++ -std=c++17 -O2 -o words words.cc && ./words || exit
i=0
while [ "$i" -lt "$SCALE" ]; do
    gcc -O2 -Wall -c -o matrix.o "$ROOT/benches/traces/programs/matrix.c" || exit
    i=$((i + 1))
done
nm matrix.o | sort -k 3 | awk '{ print $2, $3 }'
