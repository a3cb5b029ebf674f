# SPDX-License-Identifier: Apache-2.0
"""Many stored anomalies, and how soon a hub answers what its page and its API's users ask of them."""
import http.client
import json
import time
import urllib.parse

from fleet_stack import Psql

# Of the last 90 days, over all devices; reasons and severities as rare as in plants; one in a thousand is open.
FILL = """
SET synchronous_commit = off; SET maintenance_work_mem = '512MB';
INSERT INTO anomalies(tenant_no, device_no, id, phase, epoch, seq, severity, reason, stream, watch, detector, onset, peak_time, end_us,
  peak_score, peak_value, expected, lower, upper, text, contributions, tags, received_at, updated_at)
SELECT tenant_no, device_no, 1000000000 + n, CASE WHEN n % 1000 = 0 THEN 1 ELSE 3 END, 1, n,
  CASE WHEN h < 700 THEN 1 WHEN h < 990 THEN 2 ELSE 3 END,
  CASE WHEN n % 10000 = 7 THEN 7 WHEN n % 1000 = 6 THEN 6 WHEN n % 100 IN (3, 4) THEN n % 100 WHEN n % 20 = 2 THEN 2 ELSE 1 END,
  'plant1/pump' || n % 100 || '/vibration', 'pumps', 'auto', at, at + 2000000, CASE WHEN n % 1000 = 0 THEN NULL ELSE at + 30000000 END,
  1 + h / 200.0, 40 + h / 50.0, 20, 17.5, 22.5, 'higher than this hour''s usual 17.5 to 22.5', '', '', at, at + 31000000
FROM (SELECT n, (n * 7919) % 1000 AS h, {now} - ((n * 48271) % 2147483647) * 3600 AS at FROM generate_series({first}::bigint, {last}::bigint) AS n) AS a
JOIN (SELECT tenant_no, device_no, row_number() OVER (ORDER BY device_no) - 1 AS place FROM devices) AS d ON d.place = n % {devices};
"""
PART = 500_000

# What the page asks for, then what others ask the API for. {...}: something that exists.
QUERIES = {
    "newest 100 anomalies": "anomalies?limit=100",
    "newest 1,000 anomalies": "anomalies?limit=1000",
    "older ones, by cursor": "anomalies?limit=100&cursor={cursor}",
    "open ones": "anomalies?state=open&limit=100",
    "critical ones (1 %)": "anomalies?severity=critical&limit=100",
    "of a rare reason (1 in 10,000)": "anomalies?reason=clock&limit=100",
    "rare and critical": "anomalies?reason=clock&severity=critical&limit=100",
    "one device's": "anomalies?device={device}&limit=100",
    "one device's stream's": "anomalies?device={device}&stream={stream}&limit=50",
    "one stream's over the fleet": "anomalies?stream={stream}&limit=100",
    "of a day": "anomalies?from={from}&to={to}&limit=100",
    "fleet": "devices?limit=500",
    "a device's streams": "devices/{device}/streams?limit=1000",
}


def anomalies_at_rest(hub, count):
    """Seconds it took. Indexes are made when the rows are there, as any bulk load does."""
    began = time.monotonic()
    sql = Psql(hub.store)
    try:
        indexes = sql.lines("SELECT indexname || '|' || indexdef FROM pg_indexes WHERE tablename = 'anomalies' AND indexname <> 'anomalies_pkey';")
        sql.lines("".join(f"DROP INDEX {line.split('|')[0]};" for line in indexes))
        now = int(time.time() * 1e6)
        for first in range(1, count + 1, PART):
            sql.lines(FILL.format(now=now, first=first, last=min(count, first + PART - 1), devices=hub.devices))
        for line in indexes:
            sql.lines(line.split("|", 1)[1] + ";")
        sql.lines("VACUUM ANALYZE anomalies;")
    finally:
        sql.close()
    return time.monotonic() - began


def list_times(hub, queries, times):
    """name -> milliseconds, in order of size; each over one connection that stays, as a browser's does. The first answers are not
    counted: they find the cache cold and their statements new."""
    link = http.client.HTTPConnection("127.0.0.1", hub.http_port, timeout=60)
    headers = {"Authorization": f"Bearer {hub.token}"}

    def get(path):
        began = time.monotonic()
        link.request("GET", f"/api/v1/{path}", headers=headers)
        answer = link.getresponse()
        body = answer.read()
        elapsed = 1000 * (time.monotonic() - began)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {body[:200]}")
        return elapsed, body

    cursor = None
    for _ in range(20):
        page = json.loads(get("anomalies?limit=1000" + (f"&cursor={cursor}" if cursor else ""))[1])
        cursor = page["next_cursor"] or cursor
    day = time.time() - 40 * 86400
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    words = {"cursor": cursor, "device": "bench-00007", "stream": urllib.parse.quote("plant1/pump7/vibration", safe=""),
             "from": time.strftime(stamp, time.gmtime(day)), "to": time.strftime(stamp, time.gmtime(day + 86400))}
    found = {}
    for name, query in queries.items():
        path = query.format(**words)
        for _ in range(6):
            get(path)
        found[name] = sorted(get(path)[0] for _ in range(times))
    link.close()
    return found
