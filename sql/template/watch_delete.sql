    INSERT INTO {{watch}} (watch, {{key_column}}) SELECT {{ordinal}}, r.{{key}} FROM old_row AS r;
