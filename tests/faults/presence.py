# SPDX-License-Identifier: Apache-2.0
"""Every change of a device's presence at a hub on PostgreSQL, kept by a trigger, so that not even a moment is missed."""
from psql import Psql

WATCH = """
CREATE TABLE presence_log(number bigserial PRIMARY KEY, device text NOT NULL, online smallint NOT NULL, connection_id text NOT NULL);
CREATE FUNCTION log_presence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO presence_log(device, online, connection_id) VALUES (NEW.device, NEW.online, NEW.connection_id);
  RETURN NULL;
END $$;
CREATE TRIGGER presence AFTER UPDATE ON devices FOR EACH ROW
  WHEN (OLD.online <> NEW.online OR OLD.connection_id <> NEW.connection_id) EXECUTE FUNCTION log_presence();
"""


class Presence:
    """From now on; of a hub that has made its tables."""

    def __init__(self, url):
        self.url = url
        self._ask(lambda psql: psql.lines(WATCH))

    def _ask(self, question):
        psql = Psql(self.url)
        try:
            return question(psql)
        finally:
            psql.close()

    def changes(self):
        """(device, online, connection) in the order of their commits' locks on the device."""
        return self._ask(lambda psql: psql.rows("SELECT device, online, connection_id FROM presence_log ORDER BY number"))


def falsely_offline(changes, living):
    """What must never be: a device that is shown offline while it is connected. An ended connection never comes back, so one that is
    online after it was offline was alive meanwhile; an earlier connection than the newest has no say; and `living` are devices whose
    agents say at the end that they are connected. Texts, one for each."""
    found, offline, newest = [], {}, {}
    for device, online, connection in changes:
        if online and offline.get(device) == connection:
            found.append(f"{device}: connection {connection} was shown offline and went on")
        if not online and newest.get(device, connection) != connection:
            found.append(f"{device}: shown offline by the end of {connection}, though {newest[device]} had followed")
        if online:
            newest[device] = connection
        offline[device] = None if online else connection
    return found + [f"{device}: connected, and shown offline at the end" for device in living if offline.get(device)]
