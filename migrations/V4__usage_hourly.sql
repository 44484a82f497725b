-- highwater: add-rollup ../sql/rollups/usage_hourly.toml
-- Hourly usage by tenant, runtime, agent, project, provider and model.
SELECT 'usage_hourly is installed by the directive above' AS note;
