-- Something for the database to chew on: tables, indices, joins, groups, updates, text, a recursive query.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, town TEXT);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer INTEGER, day INTEGER, note TEXT);
CREATE TABLE item(purchase INTEGER, product TEXT, price REAL, amount INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
  INSERT INTO customer SELECT i, 'customer ' || i, char(65 + i % 20) || 'ville' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
  INSERT INTO purchase SELECT i, 1 + (i * 7919) % 400, i / 10, hex(zeroblob(i % 60)) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
  INSERT INTO item SELECT 1 + i % 3000, 'product ' || (i * 31 % 97), (i % 500) / 7.0, 1 + i % 5 FROM n;
CREATE INDEX by_customer ON purchase(customer);
CREATE INDEX by_purchase ON item(purchase, product);
SELECT town, count(*), sum(price * amount) FROM customer JOIN purchase ON customer.id = purchase.customer
  JOIN item ON purchase.id = item.purchase GROUP BY town ORDER BY 3 DESC;
SELECT name, group_concat(product, ', ') FROM customer JOIN purchase ON customer.id = purchase.customer
  JOIN item ON purchase.id = item.purchase WHERE town = 'Cville' GROUP BY name LIMIT 20;
UPDATE purchase SET note = note || upper(hex(day)) WHERE day % 3 = 0;
DELETE FROM item WHERE price < 3;
SELECT product, avg(price), max(amount), count(DISTINCT purchase) FROM item GROUP BY product HAVING count(*) > 20 ORDER BY product;
SELECT substr(note, 1, 8) AS start, count(*), length(group_concat(id)) FROM purchase GROUP BY start ORDER BY 2 DESC LIMIT 30;
WITH RECURSIVE chain(id, depth, path) AS (
  SELECT 1, 0, '1' UNION ALL SELECT (id * 31 + 7) % 400 + 1, depth + 1, path || '>' || ((id * 31 + 7) % 400 + 1) FROM chain WHERE depth < 300)
  SELECT max(length(path)), count(DISTINCT id) FROM chain;
SELECT c.name, (SELECT sum(price) FROM item JOIN purchase p ON p.id = item.purchase WHERE p.customer = c.id) AS total
  FROM customer c ORDER BY total DESC LIMIT 25;
CREATE TABLE archive AS SELECT * FROM purchase JOIN item ON purchase.id = item.purchase WHERE day < 150;
SELECT count(*), sum(length(note)), min(product), max(product) FROM archive;
DROP TABLE archive;
VACUUM;
