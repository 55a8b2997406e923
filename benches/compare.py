"""Compares the CPU time of GET /user in two builds of the server, in one run.

Usage: python3 benches/compare.py BEFORE AFTER [ROUNDS]

Both servers run at the same time, each on an embedded store of its own, and get the same requests in turns, so that a
busy machine slows down both. The kernel counts the nanoseconds that the threads of a server have run.
"""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

REQUESTS = 1_000
# The number of requests in one write, which keeps the client faster than the server.
PIPELINED = 20
PASSWORD = "correct horse battery"


class Server:
    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory()
        settings = {"PORT": "0", "LOG_FORMAT": "json", "ACCESS_TOKEN_TTL_SECONDS": "3600", "REFRESH_TOKEN_TTL_SECONDS": "3600"}
        self.process = subprocess.Popen(
            [program], cwd=self.directory.name, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for line in self.process.stdout:
            if b"listening on http://" in line:
                break
        self.connection = socket.create_connection(("127.0.0.1", int(line.split(b"listening on http://127.0.0.1:")[1].split(b",")[0])))
        # Without a reader, the log would fill the pipe and block the server.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)
        account = json.dumps({"email": "a@example.com", "password": PASSWORD})
        self.ask("POST", "/signup", account)
        token = json.loads(self.ask("POST", "/authenticate", account).split(b"\r\n\r\n")[1])["access_token"]
        request = f"GET /user HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        self.requests = request * PIPELINED
        self.connection.sendall(request)
        answer = self.connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        self.answers = len(answer) * PIPELINED

    def ask(self, method, path, body):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.connection.sendall((head + body).encode())
        return self.connection.recv(65536)

    def cpu_nanoseconds(self):
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def microseconds_per_request(self):
        """Each answer has the same length, because the ids of requests do."""
        before = self.cpu_nanoseconds()
        for _ in range(REQUESTS // PIPELINED):
            self.connection.sendall(self.requests)
            left = self.answers
            while left > 0:
                left -= len(self.connection.recv(left))
        return (self.cpu_nanoseconds() - before) / REQUESTS / 1_000

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.drain.wait()
        self.directory.cleanup()


before, after = servers = [Server(os.path.abspath(program)) for program in sys.argv[1:3]]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 200
try:
    pairs = []
    for n in range(rounds + 5):
        # The first server of a round may find a colder cache.
        order = servers if n % 2 else servers[::-1]
        measured = {server: server.microseconds_per_request() for server in order}
        pairs.append((measured[before], measured[after]))
finally:
    for server in servers:
        server.stop()
# The first rounds warm up.
pairs = pairs[5:]
# The tenth percentile, because other programs can only add to the time of a round.
first, second = (statistics.quantiles(column, n=10)[0] for column in zip(*pairs))
print(f"CPU time of GET /user, tenth percentile of {rounds} rounds of {REQUESTS} requests:")
print(f"{first:.2f} us before, {second:.2f} us after: {(second / first - 1) * 100:+.1f} %")
