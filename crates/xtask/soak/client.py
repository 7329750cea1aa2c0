"""Publishes rows to a server that is killed now and then, and says which of them were acknowledged.

    client.py URL TOKEN setup                   makes the model, and prints its id
    client.py URL TOKEN rows MODEL NAME COUNT   publishes rows NAME-0 ... until COUNT, or until its standard input ends

Each acknowledgement is a line of JSON: rows acknowledged so far, and the seconds of each request with rows since the last line.
Only the standard library is used.
"""

import http.client
import json
import select
import sys
import time
import urllib.parse

DIM = 8
CLASSES = ["cat", "dog"]
BATCH = 5_000
DAY_MS = 86_400_000
START_MS = 1_793_491_200_000
DAYS = 30


class Server:
    def __init__(self, url, token):
        self.address = urllib.parse.urlsplit(url)
        self.token = token
        self.seconds = []

    def send(self, method, path, body, kind):
        """One request, until it is answered: a server that is killed starts again."""
        while True:
            begun = time.monotonic()
            try:
                connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
                try:
                    headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
                    connection.request(method, path, body, headers)
                    answer = connection.getresponse()
                    text = answer.read()
                finally:
                    connection.close()
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
                continue
            # Asking for the state of a job is quick, and would hide the requests that bring rows.
            if method != "GET":
                self.seconds.append(round(time.monotonic() - begun, 4))
            if answer.status >= 500:
                time.sleep(0.2)
                continue
            return answer.status, json.loads(text)

    def json(self, method, path, body=None):
        status, answer = self.send(method, path, json.dumps(body or {}), "application/json")
        return status, answer

    def ok(self, method, path, body=None):
        status, answer = self.json(method, path, body)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return answer["data"]

    def upload(self, content):
        mark = "driftline-soak"
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        status, answer = self.send("POST", "/v3/files/upload", body, f"multipart/form-data; boundary={mark}")
        if status >= 300:
            raise SystemExit(f"upload: {status} {answer}")
        return answer["data"]["id"]


def setup(server):
    project = server.ok("POST", "/v3/projects", {"name": "soak"})
    score = [{"name": c, "data_type": "float", "min": 0.0, "max": 1.0} for c in CLASSES]
    columns = [{"name": "embeddings", "data_type": "vector", "n_dimensions": DIM}, *score]
    columns.append({"name": "target", "data_type": "category", "categories": CLASSES})
    columns.append({"name": "image_url", "data_type": "str"})
    feature = {"name": "image_feature", "type": "FROM_IMAGE_EMBEDDING", "n_clusters": 3, "centroids": None}
    model = {
        "name": "m",
        "project_id": project["id"],
        "schema": {"schema_version": 1, "columns": columns},
        "spec": {
            "schema_version": 1,
            "inputs": ["embeddings"],
            "outputs": CLASSES,
            "targets": ["target"],
            "decisions": [],
            "metadata": ["image_url"],
            "custom_features": [{**feature, "column": "embeddings", "source_column": "image_url"}],
        },
        "input_type": "structured",
        "task": "multiclass_classification",
        "task_params": {"target_class_order": CLASSES},
        "description": None,
        "event_id_col": "event_id",
        "event_ts_col": "timestamp",
        "event_ts_format": None,
        "xai_params": {"custom_explain_methods": [], "default_explain_method": None},
    }
    print(server.ok("POST", "/v3/models", model)["id"])


def table(name, first, count):
    lines = ["embeddings,cat,dog,target,image_url,timestamp,event_id"]
    for row in range(first, first + count):
        values = ", ".join(f"{(row * 31 + d * 7) % 97 / 9:.4f}" for d in range(DIM))
        moment = START_MS + row * 7919 % (DAYS * DAY_MS)
        lines.append(f'"[{values}]",0.25,0.75,dog,a.png,{moment},{name}-{row:09}')
    return ("\n".join(lines) + "\n").encode()


def wanted():
    """Whether the standard input is still open."""
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return not readable


def publish(server, model, name, count):
    done = 0
    while done < count and wanted():
        rows = min(BATCH, count - done)
        content = table(name, done, rows)
        for _ in range(5):
            body = {
                "source": {"file_id": server.upload(content), "type": "FILE"},
                "model_id": model,
                "env_type": "PRODUCTION",
                "env_name": None,
            }
            status, answer = server.json("POST", "/v3/events", body)
            # Refused because the file is gone means that an answer was lost, and the same rows are sent once more.
            if status < 300:
                break
        else:
            raise SystemExit(f"rows were refused: {status} {answer}")
        job = answer["data"]["job"]["id"]
        while server.ok("GET", f"/v3/jobs/{job}")["status"] in ("PENDING", "STARTED"):
            time.sleep(0.02)
        final = server.ok("GET", f"/v3/jobs/{job}")
        if final["status"] != "SUCCESS":
            raise SystemExit(f"a job failed: {final}")
        done += rows
        print(json.dumps({"rows": done, "seconds": server.seconds}), flush=True)
        server.seconds = []


def main():
    url, token, task, *rest = sys.argv[1:]
    server = Server(url, token)
    if task == "setup":
        setup(server)
    else:
        model, name, count = rest
        publish(server, model, name, int(count))


main()
