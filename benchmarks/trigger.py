"""A row trigger that a careful hand would write: three buckets, the coarse one in 16 slots, one upsert."""

from __future__ import annotations

from django.db import connection

TABLE = "bench_trigger_totals"
ROWS = """
    (VALUES ('day', {row}.owner_id, {row}.spent_on, NULL::date, 0),
            ('month', {row}.owner_id, NULL, date_trunc('month', {row}.spent_on)::date, 0),
            ('overview', NULL, NULL, date_trunc('month', {row}.spent_on)::date, pg_backend_pid() % 16))
    AS bucket (rollup, owner_id, day, month, slot)
"""

SQL = f"""
CREATE TABLE bench_trigger_totals (
    rollup text NOT NULL, owner_id integer, category_id bigint, currency varchar(3), status varchar(10),
    day date, month date, slot integer NOT NULL, amount bigint NOT NULL, count bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT (rollup, category_id, month, currency, status, owner_id, day, slot)
);
CREATE FUNCTION bench_keep_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench_trigger_totals AS totals
    SELECT rollup, owner_id, category_id, currency, status, day, month, slot, SUM(amount), SUM(count)
    FROM (
        SELECT bucket.rollup, bucket.owner_id, NEW.category_id, NEW.currency, NEW.status, day, month, slot,
               NEW.amount, 1 AS count
        FROM {ROWS.format(row="NEW")} WHERE TG_OP <> 'DELETE' AND NEW.status <> 'draft'
        UNION ALL
        SELECT bucket.rollup, bucket.owner_id, OLD.category_id, OLD.currency, OLD.status, day, month, slot,
               -OLD.amount, -1
        FROM {ROWS.format(row="OLD")} WHERE TG_OP <> 'INSERT' AND OLD.status <> 'draft'
    ) AS image
    GROUP BY rollup, owner_id, category_id, currency, status, day, month, slot
    HAVING SUM(amount) <> 0 OR SUM(count) <> 0
    ORDER BY rollup, owner_id, category_id, currency, status, day, month, slot
    ON CONFLICT (rollup, category_id, month, currency, status, owner_id, day, slot)
    DO UPDATE SET amount = totals.amount + EXCLUDED.amount, count = totals.count + EXCLUDED.count;
    RETURN NULL;
END $$;
CREATE TRIGGER bench_keep_totals AFTER INSERT OR UPDATE OR DELETE ON benchmarks_triggered
FOR EACH ROW EXECUTE FUNCTION bench_keep_totals();
"""


def install() -> None:
    """Create the table, the function and the trigger; PostgreSQL only."""
    with connection.cursor() as cursor:
        cursor.execute(SQL)
