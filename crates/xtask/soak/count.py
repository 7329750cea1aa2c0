"""Counts the events of a store by client, and says which are missing or there twice: count.py FOLDER NAME=ROWS ...

Rows of client NAME are NAME-0 to NAME-(ROWS - 1). Rows beyond may be there: their acknowledgement was under way.
"""

import pathlib
import sys

import pyarrow.parquet


def main():
    folder, *clients = sys.argv[1:]
    acknowledged = {name: int(rows) for name, rows in (client.split("=") for client in clients)}
    seen = {name: bytearray() for name in acknowledged}
    doubled = 0
    files = sorted(pathlib.Path(folder).glob("events/date=*/*.parquet"))
    for file in files:
        for event in pyarrow.parquet.read_table(file, columns=["event_id"], partitioning=None)["event_id"].to_pylist():
            name, _, row = event.rpartition("-")
            rows, row = seen[name], int(row)
            if row >= len(rows):
                rows.extend(bytes(row + 1 - len(rows)))
            doubled += rows[row]
            rows[row] = 1
    missing = sum(rows - sum(seen[name][:rows]) for name, rows in acknowledged.items())
    total = sum(sum(rows) for rows in seen.values())
    print(f"{sum(acknowledged.values())} rows acknowledged, {total} in {len(files)} files; {missing} missing, {doubled} twice")
    sys.exit(bool(missing or doubled))


main()
