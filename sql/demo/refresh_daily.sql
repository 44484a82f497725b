-- demo/refresh_daily
-- The application's own nightly job.
SELECT refresh_activity_daily()
