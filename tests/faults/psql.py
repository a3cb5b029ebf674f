# SPDX-License-Identifier: Apache-2.0
"""A connection to PostgreSQL by a psql that stays: no library is needed, and nothing is started for each question."""
import subprocess

MARK = "-- end of the answer --"


def literal(value):
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def parsed(field):
    """Numbers as such, NULL as None; bytes stay text, as in \\x00ff."""
    if field == "\\N":
        return None
    try:
        return int(field)
    except ValueError:
        return field.replace("\\\\", "\\")


class Psql:
    """Errors, for each question: OSError (the server is away or has ended the connection: make another one), ValueError (it refuses)."""

    def __init__(self, url):
        self._process = subprocess.Popen(["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", url],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def lines(self, statements):
        """What psql prints."""
        try:
            self._process.stdin.write(f"{statements}\n\\echo {MARK}\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it says why before it ends
        found = []
        for line in self._process.stdout:
            line = line.rstrip("\n")
            if line == MARK:
                return found
            found.append(line)
        text = "\n".join(found[-3:])
        if self._process.wait() == 3:  # of ON_ERROR_STOP; else the connection is lost
            raise ValueError(f"{statements[:200]}: {text}")
        raise OSError(text)

    def rows(self, sql, arguments=()):
        """Of one SELECT with `?` for its arguments."""
        parts = sql.split("?")
        whole = "".join(part + literal(value) for part, value in zip(parts, arguments, strict=False)) + parts[-1]
        return [tuple(parsed(field) for field in line.split("\t")) for line in self.lines(f"COPY ({whole}) TO STDOUT;")]

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
