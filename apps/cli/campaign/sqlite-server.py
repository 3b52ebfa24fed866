# In the guest: keys and values in sqlite, a transaction each, on the disk before it is answered. A line asks, a line answers:
# set KEY VALUE, get KEY, incr KEY.
import selectors
import socket
import sqlite3

database = sqlite3.connect("/root/campaign.db", isolation_level=None)
database.execute("PRAGMA journal_mode=DELETE")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT)")


def value_of(key):
    row = database.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
    return row[0] if row else ""


def answer(line):
    verb, _, rest = line.partition(" ")
    key, _, value = rest.partition(" ")
    if verb == "get":
        return value_of(key)
    if verb == "incr":
        value = str(int(value_of(key) or 0) + 1)
    elif verb != "set":
        return "error"
    database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, value))
    return value


def serve(client, pending):
    """Answers the lines that have come; says whether more may come."""
    try:
        received = client.recv(4096)
        pending.extend(received)
        while (end := pending.find(b"\n")) >= 0:
            line = pending[:end].decode()
            del pending[: end + 1]
            client.sendall(f"{answer(line)}\n".encode())
    except ConnectionError:
        # Whoever asked is gone; the others go on.
        return False
    return len(received) > 0


selector = selectors.DefaultSelector()
listener = socket.create_server(("", 7001))
selector.register(listener, selectors.EVENT_READ, None)
while True:
    for event, _ in selector.select():
        if event.data is None:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client, selectors.EVENT_READ, bytearray())
        elif not serve(event.fileobj, event.data):
            selector.unregister(event.fileobj)
            event.fileobj.close()
