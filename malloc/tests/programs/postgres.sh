# needs: initdb postgres pg_ctl psql pgbench
# version: postgres --version
# measured: no
# path: /usr/lib/postgresql/*/bin
port=$((20000 + $$ % 20000))
# The server refuses to run as root: then another user runs all.
run() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chmod 755 .
    mkdir data && chown nobody data
    run() { setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME="$PWD/data" "$@"; }
fi
here=$PWD/data
run mkdir -p "$here"
cd "$here" || exit 1
run initdb -D "$here/db" -U test -A trust --no-sync >init.log 2>&1 || { cat init.log >&2; exit 1; }
run pg_ctl -D "$here/db" -w -l "$here/server.log" -o "-p $port -k $here -h '' -F" start >/dev/null || { cat server.log >&2; exit 1; }
status=0
sql() { run psql -h "$here" -p "$port" -U test -X -q -A -t -d "$1"; }
bench() { run pgbench -h "$here" -p "$port" -U test "$@" postgres >>bench.log 2>&1 || { status=1; cat bench.log >&2; }; }
bench -i -s 1
bench -c 4 -j 2 -t $((100 * SCALE))
echo "select count(*), (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history) from pgbench_history;" | sql postgres
sql postgres <<'END'
create table words as select i, md5(i::text) as word from generate_series(1, 20000) i;
create index on words (word);
select count(distinct substr(word, 1, 3)), max(word) from words;
select substr(word, 1, 1) as letter, count(*), avg(i)::int from words group by letter order by letter;
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 5000) select sum(n) from numbers;
select length(string_agg(word, ',' order by i)) from words;
END
run pg_ctl -D "$here/db" -w -m fast stop >/dev/null || status=1
grep -E "PANIC|terminated by signal" server.log
exit "$status"
