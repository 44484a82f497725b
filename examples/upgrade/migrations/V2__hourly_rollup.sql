-- highwater: add-rollup ../rollups/activity_hourly.toml
-- From here on every change of activity is counted by the hour. History follows before V3.
COMMENT ON TABLE activity_daily IS 'Replaced by highwater.activity_hourly; V3 drops it.';
