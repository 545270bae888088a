# SPDX-License-Identifier: Apache-2.0
"""Reads the whole history of a semaphore out of etcd, change by change, and judges it.

Both APIs keep it: v3 every revision since the last compaction (a watch from revision 1 replays
them), v2 the last thousand events (a wait with an index gives the event of that index at once)."""
import base64
import contextlib
import http.client
import json
import urllib.parse

KEY = "coreos.com/updateengine/rebootlock/semaphore"


class Change:
    """One state of the semaphore and the revision (v3) or index (v2) that made it."""

    def __init__(self, revision, text):
        self.revision, self.text = revision, text
        document = json.loads(text) if text is not None else {"max": 1, "holders": []}
        self.max = document["max"]
        self.holders = document["holders"] or []

    def __repr__(self):
        return f"{self.revision}: {self.text}"


def connect(url, seconds):
    parts = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)


def history_v3(url, key=KEY, token=None, seconds=20):
    """Every state that the key ever had. token: where etcd's authentication is on."""
    headers = {"Authorization": token} if token else {}
    encoded = base64.b64encode(key.encode()).decode()
    with contextlib.closing(connect(url, seconds)) as connection:
        connection.request("POST", "/v3/kv/range", json.dumps({"key": encoded}), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        if answer.status != 200:
            raise ConnectionError(f"{url}: {found}")
    if not found.get("kvs"):
        return []
    last = int(found["kvs"][0]["mod_revision"])
    changes, versions = [], []
    with contextlib.closing(connect(url, seconds)) as connection:
        connection.request("POST", "/v3/watch", json.dumps(
            {"create_request": {"key": encoded, "start_revision": "1"}}), headers)
        answer = connection.getresponse()
        while not changes or changes[-1].revision < last:
            result = json.loads(answer.readline())["result"]
            if result.get("canceled"):
                raise AssertionError(f"the history was compacted: {result}")
            for event in result.get("events", []):
                kv = event["kv"]
                is_deleted = event.get("type") == "DELETE"
                text = None if is_deleted else base64.b64decode(kv["value"]).decode()
                changes.append(Change(int(kv["mod_revision"]), text))
                versions.append(0 if is_deleted else int(kv["version"]))
        answer.close()
    for before, after in zip(versions, versions[1:]):
        if after not in (before + 1, 0):
            raise AssertionError(f"the history has gaps: versions {versions}")
    return changes


def history_v2(url, key=KEY, seconds=20):
    """Every state that the key ever had, from the first of the last thousand events on."""
    path = "/v2/keys/" + urllib.parse.quote(key)
    changes = []
    with contextlib.closing(connect(url, seconds)) as connection:
        def ask(query):
            connection.request("GET", path + query)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        status, found = ask("?quorum=true")
        if status == 404 and found.get("errorCode") == 100:
            return []
        if status != 200:
            raise ConnectionError(f"{url}: {found}")
        at, last = found["node"]["createdIndex"], found["node"]["modifiedIndex"]
        while not changes or changes[-1].revision < last:
            status, event = ask(f"?wait=true&waitIndex={at}")
            if status != 200:
                raise AssertionError(f"the history is gone: {event}")
            node, before = event["node"], event.get("prevNode")
            if changes and before and before["modifiedIndex"] != changes[-1].revision:
                raise AssertionError(f"the history has gaps: {event} after {changes[-1]}")
            changes.append(Change(node["modifiedIndex"], node.get("value")))
            at = node["modifiedIndex"] + 1
    return changes


def problems_of(changes):
    """What is wrong with a history: a holder that came when max were there already, a free count
    that is not max less holders, holders that are not sorted or named twice, more than one thing
    changed at once. (A person may lower max below the number of holders; nobody may be added
    then.)"""
    found = []
    holders, maximum = set(), None
    for change in changes:
        now = set(change.holders)
        if now - holders and len(now) > change.max:
            found.append(f"more holders than max: {change}")
        if change.holders != sorted(now, key=lambda h: h.encode()):
            found.append(f"holders are not sorted or named twice: {change}")
        if (change.text is not None
                and json.loads(change.text)["semaphore"] != change.max - len(now)):
            found.append(f"the free count is wrong: {change}")
        if len(now ^ holders) + (maximum not in (None, change.max)) > 1:
            found.append(f"more than one thing changed at once: {change}")
        holders, maximum = now, change.max
    return found


def most_holders(changes):
    return max((len(change.holders) for change in changes), default=0)


def grants_of(changes):
    """The hosts in the order in which they came to hold it, a line for each time."""
    order, holders = [], set()
    for change in changes:
        order += sorted(set(change.holders) - holders)
        holders = set(change.holders)
    return order
