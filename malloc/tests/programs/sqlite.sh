# needs: sqlite3
# version: sqlite3 --version
i=0
while [ "$i" -lt "$SCALE" ]; do
    sqlite3 :memory: ".read $ROOT/benches/traces/programs/orders.sql" || exit
    i=$((i + 1))
done
sqlite3 file.db <<END
pragma journal_mode = wal;
create table t(id integer primary key, name text, body blob);
create index by_name on t(name);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000 * $SCALE)
insert into t select i, 'name ' || (i * 7919 % 1009), zeroblob(i % 300) from n;
select count(*), count(distinct name), sum(length(body)) from t;
select name, count(*), group_concat(id % 10, '') as ids from t where name like '%99%' group by name order by name limit 5;
delete from t where id % 3 = 0;
update t set name = name || ' again' where id % 7 = 0;
vacuum;
pragma integrity_check;
select count(*), max(length(name)) from t;
END
