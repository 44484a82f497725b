    INSERT INTO {{watch}} (watch, {{key_column}}) SELECT {{ordinal}}, r.{{key}} FROM new_row AS r;
