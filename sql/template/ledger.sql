-- template/ledger
INSERT INTO highwater.rollup (name, definition, definition_sha256, source, target, capture_function, time_column,
                              tenant_column, grain)
VALUES ({{name_literal}}, {{definition}}, {{definition_sha256}}, {{source}}, {{target_name}}, {{capture}}, {{time}},
        {{tenant}}, {{grain}});
