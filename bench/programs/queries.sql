CREATE TABLE item(id INTEGER PRIMARY KEY, category INTEGER, name TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80000)
INSERT INTO item SELECT i, (i * 7919) % 97, printf('item %05d', (i * 104729) % 99991), (i % 1000) / 8.0 FROM n;
CREATE INDEX by_name ON item(name);
SELECT category, count(*), sum(price), min(name) FROM item GROUP BY category ORDER BY sum(price) DESC LIMIT 5;
SELECT count(*) FROM item a JOIN item b ON b.name = printf('item %05d', a.id) WHERE b.price < 20;
UPDATE item SET price = price * 1.25 WHERE category IN (SELECT category FROM item GROUP BY category HAVING count(*) % 2 = 0);
DELETE FROM item WHERE name LIKE '%77%';
SELECT count(*), round(sum(price), 3), max(length(name)) FROM item;
