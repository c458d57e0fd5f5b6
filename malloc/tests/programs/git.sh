# needs: git
# version: git --version
# A repository from nothing: the names of its commits are those of what is in them.
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b HOME="$PWD" GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git init -q -b main work && cd work || exit
round=1
while [ "$round" -le $((3 * SCALE)) ]; do
    awk -v round="$round" 'BEGIN {
        for (file = 0; file < 120; file++) {
            name = "file" file ".txt"
            for (line = 0; line < 100; line++) print "line", line, (line * 7919 + file * 31) % 1009, (line % 17 == round % 17 ? round : "") > name
            close(name)
        }
    }'
    git add -A && git commit -q -m "round $round" || exit
    round=$((round + 1))
done
git checkout -q -b other HEAD~1 && echo more >>file3.txt && git commit -qam other && git merge -q --no-edit main || exit
git rev-parse HEAD
git log -p --stat | sha256sum
git gc -q && git fsck --strict && git count-objects -v | grep -E '^(in-pack|packs|count)'
git grep -c 'line 17 ' | sha256sum
git blame file7.txt | awk '{ print $1 }' | sort -u | wc -l
