    INSERT INTO {{wide}} (lo, hi) VALUES ('-infinity', 'infinity');
