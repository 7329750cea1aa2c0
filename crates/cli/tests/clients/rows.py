"""What the notebooks share: their arguments, and driftline's rows as the data frames that a notebook has."""

import json
import sys
from pathlib import Path

import pandas as pd

DAY = 24 * 60 * 60 * 1000
# Midnight of a Monday, in milliseconds.
FIRST_DAY = 1_793_577_600_000
ORGANISATION = "driftline"


class Rows:
    """`baseline.parquet`, and one `week-W-day-D.parquet` for each day of production."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.baseline = read(self.folder / "baseline.parquet").drop(columns=["event_id"])
        names = list(self.baseline.columns)
        self.classes = names[names.index("embeddings") + 1 : names.index("target")]
        self.days = []
        for number, path in enumerate(sorted(self.folder.glob("week-*.parquet"))):
            day = read(path)
            # As the notebook does it: all rows of a day happened at the same moment.
            day["timestamp"] = FIRST_DAY + number * DAY + DAY // 2
            self.days.append(day)


def read(path):
    """Embeddings become lists of Python's floats; the columns that only driftline knows are left out."""
    frame = pd.read_parquet(path).drop(columns=["timestamp", "window", "image_properties"])
    frame["embeddings"] = [row.tolist() for row in frame["embeddings"]]
    return frame


def columns(frame):
    """The same with a scalar column for each value of the embedding, for clients without vectors."""
    vectors = pd.DataFrame(frame["embeddings"].tolist(), index=frame.index, dtype="float32")
    vectors.columns = [f"emb_{number}" for number in vectors.columns]
    return pd.concat([vectors, frame.drop(columns=["embeddings"])], axis=1)


def relabelled(events, classes):
    """True classes that arrive later: for each event the class after the one it had."""
    late = events[["event_id", "target"]].copy()
    late["target"] = [classes[(classes.index(name) + 1) % len(classes)] for name in late["target"]]
    return late


def arguments():
    """The server's address, its token, and the rows."""
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} URL TOKEN FOLDER")
    return sys.argv[1], sys.argv[2], Rows(sys.argv[3])


def report(**what):
    """The last line of a notebook: what it did and read back, as JSON."""
    print(json.dumps(what))
