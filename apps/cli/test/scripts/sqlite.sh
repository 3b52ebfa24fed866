awk -v rows="$1" 'BEGIN {
  print "pragma journal_mode = wal;"
  print "create table t (id integer primary key, name text, value real);"
  print "begin;"
  for (n = 1; n <= rows; n++) {
    printf "insert into t values (%d, \"name %d\", %.3f);\n", n, (n * 7919) % 10007, n / 7
    if (n % 10000 == 0) print "commit; begin;"
  }
  print "commit;"
}' >inserts.sql
sqlite3 data.db <inserts.sql
sqlite3 data.db <<'SQL'
create index by_name on t (name);
select count(*), sum(id), round(sum(value), 3) from t;
select name, count(*) from t group by name order by 2 desc, 1 limit 3;
update t set value = value * 2 where id % 100 = 0;
delete from t where id % 3 = 0;
select count(*), round(avg(value), 6), max(name) from t;
explain query plan select * from t where name = 'name 5';
with recursive fib (a, b, n) as (select 0, 1, 1 union all select b, a + b, n + 1 from fib where n < 60) select max(a) from fib;
pragma integrity_check;
vacuum;
.mode csv
select * from t limit 3;
SQL
sqlite3 data.db .dump | sha256sum
