"""The tables of the verdict log, version by version. Add to the end, change nothing that is there.

Rows are added and never changed: triggers refuse to update, delete or replace them, whichever program tries. What
changes after a verdict was given, its images, stands in a table of its own.
"""

from __future__ import annotations


def _append_only(table: str) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed'); END"
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE goes around the others, unless a connection asks for recursive triggers.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) {refuse}",
    )


# Older verdicts may be removed, with what belongs to them; 0 where nothing ever was.
EXPIRED_BEFORE = "coalesce((SELECT before_ms FROM expiry ORDER BY id DESC LIMIT 1), 0)"


def _kept(table: str, time_ms: str) -> tuple[str, ...]:
    """Triggers of a table whose rows go when their verdict is older than a record keeps verdicts.

    Args:
        table: Its name.
        time_ms: When the verdict of the row OLD was given.
    """
    no_update, _, no_replace = _append_only(table)
    return no_update, _kept_for_long(table, time_ms), no_replace


def _kept_for_long(table: str, time_ms: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN {time_ms} >= {EXPIRED_BEFORE} "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed'); END"
    )


# What brings a log from each version to the next; a new one goes through all of them. Add to the end, change nothing.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE session (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            source TEXT NOT NULL,
            artifact TEXT NOT NULL,
            artifact_sha256 TEXT NOT NULL,
            system TEXT,
            good_scores TEXT,
            edgekd_version TEXT NOT NULL,
            station TEXT NOT NULL
        )""",
        """CREATE TABLE verdict (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            session_id INTEGER NOT NULL REFERENCES session (id),
            name TEXT NOT NULL,
            name_bytes BLOB,
            part_id TEXT,
            lot TEXT,
            recipe TEXT,
            operator TEXT,
            score REAL,
            severity REAL,
            threshold REAL,
            verdict TEXT NOT NULL CHECK (verdict IN ('OK', 'NG', 'ERROR')),
            error TEXT,
            regions TEXT,
            more_regions INTEGER NOT NULL,
            checks TEXT,
            notice TEXT,
            dropped INTEGER NOT NULL,
            pre_ms REAL,
            inference_ms REAL,
            post_ms REAL,
            end_to_end_ms REAL
        )""",
        """CREATE TABLE image (
            id INTEGER PRIMARY KEY,
            verdict_id INTEGER NOT NULL REFERENCES verdict (id),
            kind TEXT NOT NULL CHECK (kind IN ('heat_map', 'original')),
            path TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            time_ms INTEGER NOT NULL,
            rank INTEGER NOT NULL,
            removed_ms INTEGER
        )""",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            session_id INTEGER REFERENCES session (id),
            kind TEXT NOT NULL,
            count INTEGER NOT NULL,
            text TEXT NOT NULL
        )""",
        "CREATE INDEX image_of_verdict ON image (verdict_id)",
        "CREATE INDEX image_kept ON image (rank, id) WHERE removed_ms IS NULL",
        *_append_only("session"),
        *_append_only("verdict"),
        *_append_only("event"),
        """CREATE TRIGGER image_only_removed BEFORE UPDATE ON image
            WHEN OLD.removed_ms IS NOT NULL OR (OLD.id, OLD.verdict_id, OLD.kind, OLD.path, OLD.bytes, OLD.time_ms)
                IS NOT (NEW.id, NEW.verdict_id, NEW.kind, NEW.path, NEW.bytes, NEW.time_ms)
            BEGIN SELECT RAISE(ABORT, 'an image can only be removed'); END""",
        """CREATE TRIGGER image_no_delete BEFORE DELETE ON image
            BEGIN SELECT RAISE(ABORT, 'rows of image are never deleted'); END""",
        """CREATE VIEW verdicts AS SELECT
            verdict.id, verdict.time_ms,
            strftime('%Y-%m-%dT%H:%M:%fZ', verdict.time_ms / 1000.0, 'unixepoch') AS time,
            session.source, verdict.name, verdict.name_bytes, part_id, lot, recipe, operator,
            score, severity, threshold, verdict, error, regions, more_regions, checks, notice, dropped,
            pre_ms, inference_ms, post_ms, end_to_end_ms,
            (SELECT path FROM image WHERE verdict_id = verdict.id AND kind = 'heat_map' AND removed_ms IS NULL)
                AS heat_map,
            (SELECT path FROM image WHERE verdict_id = verdict.id AND kind = 'original' AND removed_ms IS NULL)
                AS original,
            session.artifact, session.artifact_sha256, session.system, session.edgekd_version, session.station,
            verdict.session_id
            FROM verdict JOIN session ON session.id = verdict.session_id""",
    ),  # What a station adds: a verdict's id is the result id that the PLC reads.
    (
        """CREATE TABLE recipe_session (
            id INTEGER PRIMARY KEY REFERENCES session (id),
            station TEXT NOT NULL,
            boot_id INTEGER NOT NULL,
            job INTEGER NOT NULL,
            recipe TEXT NOT NULL,
            revision INTEGER NOT NULL,
            digest TEXT NOT NULL,
            product TEXT NOT NULL
        )""",
        """CREATE TABLE acquisition (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            session_id INTEGER NOT NULL REFERENCES recipe_session (id),
            part INTEGER NOT NULL,
            serial TEXT NOT NULL,
            lot TEXT NOT NULL,
            source TEXT NOT NULL,
            triggered_ms INTEGER NOT NULL
        )""",
        """CREATE TABLE result (
            id INTEGER PRIMARY KEY REFERENCES verdict (id),
            acquisition_id INTEGER,
            part INTEGER NOT NULL,
            serial TEXT NOT NULL,
            error_code INTEGER NOT NULL,
            source TEXT NOT NULL,
            triggered_ms INTEGER NOT NULL,
            published_ms INTEGER NOT NULL,
            acquire_ms REAL,
            check_ms REAL,
            height INTEGER,
            width INTEGER,
            area INTEGER,
            cx REAL,
            cy REAL,
            uncertain INTEGER NOT NULL,
            camera TEXT,
            frame_id INTEGER,
            simulated INTEGER NOT NULL,
            self_test INTEGER NOT NULL
        )""",
        """CREATE TABLE delivery (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            verdict_id INTEGER NOT NULL REFERENCES verdict (id),
            how TEXT NOT NULL CHECK (how IN ('acked', 'unread', 'late'))
        )""",
        """CREATE TABLE late (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            verdict_id INTEGER NOT NULL REFERENCES verdict (id),
            score REAL,
            severity REAL,
            threshold REAL,
            error_code INTEGER NOT NULL,
            error TEXT
        )""",
        """CREATE TABLE review (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            verdict_id INTEGER NOT NULL REFERENCES verdict (id),
            who TEXT NOT NULL,
            label TEXT NOT NULL CHECK (label IN ('good', 'bad')),
            note TEXT NOT NULL
        )""",
        """CREATE TABLE hold (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            verdict_id INTEGER NOT NULL REFERENCES verdict (id),
            who TEXT NOT NULL,
            why TEXT NOT NULL,
            held INTEGER NOT NULL
        )""",
        """CREATE TABLE alarm (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            station TEXT NOT NULL,
            code INTEGER NOT NULL,
            text TEXT NOT NULL,
            raised_ms INTEGER NOT NULL,
            fatal INTEGER NOT NULL,
            active INTEGER NOT NULL,
            acknowledged_by TEXT NOT NULL
        )""",
        """CREATE TABLE selftest (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            station TEXT NOT NULL,
            session_id INTEGER REFERENCES recipe_session (id),
            kind TEXT NOT NULL,
            passed INTEGER NOT NULL,
            text TEXT NOT NULL
        )""",
        """CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            local_time TEXT NOT NULL,
            who TEXT NOT NULL,
            role TEXT NOT NULL,
            address TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            old TEXT NOT NULL,
            new TEXT NOT NULL,
            why TEXT NOT NULL,
            previous TEXT NOT NULL,
            hash TEXT NOT NULL
        )""",
        # What may be removed for its age: verdicts before a time, and each time that was so.
        """CREATE TABLE expiry (
            id INTEGER PRIMARY KEY,
            time_ms INTEGER NOT NULL,
            before_ms INTEGER NOT NULL,
            days REAL NOT NULL
        )""",
        """CREATE TABLE counter (
            station TEXT PRIMARY KEY,
            since_ms INTEGER NOT NULL,
            upto_id INTEGER NOT NULL,
            counts TEXT NOT NULL
        )""",
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "CREATE INDEX result_of_acquisition ON result (acquisition_id) WHERE acquisition_id IS NOT NULL",
        *(
            f"CREATE INDEX {table}_of_verdict ON {table} (verdict_id)"
            for table in ("delivery", "late", "review", "hold")
        ),
        *(
            statement
            for table in ("recipe_session", "hold", "alarm", "selftest", "audit", "expiry")
            for statement in _append_only(table)
        ),
        "DROP TRIGGER verdict_no_delete",
        _kept_for_long("verdict", "OLD.time_ms"),
        *_kept("acquisition", "OLD.time_ms"),
        *_kept("result", "(SELECT time_ms FROM verdict WHERE id = OLD.id)"),
        *(
            statement
            for table in ("delivery", "late", "review")
            for statement in _kept(table, "(SELECT time_ms FROM verdict WHERE id = OLD.verdict_id)")
        ),
        # Whatever the clock says and whoever asks, a verdict stays for a year after which others came.
        """CREATE TRIGGER expiry_after_a_year BEFORE INSERT ON expiry
            WHEN NEW.before_ms > (SELECT coalesce(max(time_ms), 0) - 31536000000 FROM
                (SELECT time_ms FROM verdict ORDER BY id DESC LIMIT 1))
            BEGIN SELECT RAISE(ABORT, 'verdicts are kept for at least a year'); END""",
        # An answer that was given is not corrected: only an ERROR may follow one that came too late to be published.
        """CREATE TRIGGER result_is_the_only_one BEFORE INSERT ON result
            WHEN NEW.error_code = 0 AND EXISTS (SELECT 1 FROM result WHERE acquisition_id = NEW.acquisition_id)
            BEGIN SELECT RAISE(ABORT, 'this part was judged already'); END""",
        "ALTER TABLE image ADD COLUMN sha256 TEXT",
        "ALTER TABLE image ADD COLUMN expires_ms INTEGER",
        "CREATE INDEX image_expires ON image (expires_ms) WHERE removed_ms IS NULL AND expires_ms IS NOT NULL",
        "DROP TRIGGER image_only_removed",
        """CREATE TRIGGER image_only_removed BEFORE UPDATE ON image
            WHEN OLD.removed_ms IS NOT NULL
                OR (OLD.id, OLD.verdict_id, OLD.kind, OLD.path, OLD.bytes, OLD.time_ms, OLD.rank, OLD.sha256,
                    OLD.expires_ms)
                IS NOT (NEW.id, NEW.verdict_id, NEW.kind, NEW.path, NEW.bytes, NEW.time_ms, NEW.rank, NEW.sha256,
                    NEW.expires_ms)
            BEGIN SELECT RAISE(ABORT, 'an image can only be removed'); END""",
        "DROP TRIGGER image_no_delete",
        """CREATE TRIGGER image_no_delete BEFORE DELETE ON image
            WHEN OLD.removed_ms IS NULL OR (SELECT time_ms FROM verdict WHERE id = OLD.verdict_id) >= """
        f"""{EXPIRED_BEFORE}
            BEGIN SELECT RAISE(ABORT, 'rows of image are never deleted'); END""",
        """CREATE TRIGGER image_no_replace BEFORE INSERT ON image
            WHEN EXISTS (SELECT 1 FROM image WHERE id = NEW.id)
            BEGIN SELECT RAISE(ABORT, 'rows of image are never replaced'); END""",
        "DROP VIEW verdicts",
        """CREATE VIEW verdicts AS SELECT
            verdict.id, verdict.time_ms,
            strftime('%Y-%m-%dT%H:%M:%fZ', verdict.time_ms / 1000.0, 'unixepoch') AS time,
            session.source, verdict.name, verdict.name_bytes, verdict.part_id, verdict.lot, verdict.recipe,
            verdict.operator, score, severity, threshold, verdict, error, regions, more_regions, checks, notice,
            dropped, pre_ms, inference_ms, post_ms, end_to_end_ms,
            (SELECT path FROM image WHERE verdict_id = verdict.id AND kind = 'heat_map' AND removed_ms IS NULL)
                AS heat_map,
            (SELECT path FROM image WHERE verdict_id = verdict.id AND kind = 'original' AND removed_ms IS NULL)
                AS original,
            session.artifact, session.artifact_sha256, session.system, session.edgekd_version, session.station,
            verdict.session_id,
            result.serial, result.acquisition_id, recipe_session.job, recipe_session.revision,
            recipe_session.digest AS recipe_digest, result.error_code, result.source AS trigger_source,
            result.triggered_ms, result.published_ms, result.acquire_ms, result.check_ms,
            result.height, result.width, result.area, result.cx, result.cy, result.uncertain,
            result.camera, result.frame_id, result.simulated, result.self_test, recipe_session.boot_id,
            (SELECT how FROM delivery WHERE verdict_id = verdict.id ORDER BY delivery.id DESC LIMIT 1) AS delivered
            FROM verdict JOIN session ON session.id = verdict.session_id
            LEFT JOIN result ON result.id = verdict.id
            LEFT JOIN recipe_session ON recipe_session.id = verdict.session_id""",
    ),
)
