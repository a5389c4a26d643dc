"""A small client of PostgreSQL's wire protocol (version 3.0, simple query): only the standard library, for the test tools.

Values come back as bytes in text format, or None. Errors are PgError with the fields of the ErrorResponse.
"""
import base64
import hashlib
import hmac
import os
import socket
import struct


class PgError(Exception):
    def __init__(self, fields):
        self.fields = fields
        self.sqlstate = fields.get("C", "")
        super().__init__(f"{fields.get('S', 'ERROR')} {self.sqlstate}: {fields.get('M', '')}")


class Result:
    """One statement's answer: columns as (name, type oid), rows as lists of bytes or None, the command tag."""

    def __init__(self):
        self.columns = []
        self.rows = []
        self.tag = ""


class Connection:
    def __init__(self, host="127.0.0.1", port=5432, user="postgres", database="postgres", password=None, timeout=600,
                 **settings):
        if host.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(f"{host}/.s.PGSQL.{port}")
        else:
            self.sock = socket.create_connection((host, port), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = self.sock.makefile("rb", 1 << 16)
        self.parameters = {}
        self.status = "I"
        self.user, self.password = user, password
        pairs = {"user": user, "database": database, "client_encoding": "UTF8", **settings}
        body = struct.pack("!i", 196608) + b"".join(
            k.encode() + b"\0" + str(v).encode() + b"\0" for k, v in pairs.items()) + b"\0"
        self.sock.sendall(struct.pack("!i", len(body) + 4) + body)
        self._startup()

    # ---- messages ----

    def _send(self, kind, body):
        self.sock.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def _receive(self):
        head = self.buffer.read(5)
        if len(head) < 5:
            raise ConnectionError("the server closed the connection")
        length = struct.unpack("!i", head[1:])[0] - 4
        body = self.buffer.read(length)
        if len(body) < length:
            raise ConnectionError("the server closed the connection in the middle of a message")
        return head[:1], body

    @staticmethod
    def _fields(body):
        fields = {}
        for part in body.split(b"\0"):
            if part:
                fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
        return fields

    def _startup(self):
        while True:
            kind, body = self._receive()
            if kind == b"R":
                self._authenticate(body)
            elif kind == b"S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == b"E":
                raise PgError(self._fields(body))
            elif kind == b"Z":
                self.status = body.decode()
                return

    def _authenticate(self, body):
        method = struct.unpack("!i", body[:4])[0]
        if method == 0:
            return
        if method == 10:
            self._scram(body[4:])
        elif method not in (11, 12):
            raise ConnectionError(f"authentication method {method} is not supported")

    def _scram(self, mechanisms):
        """RFC 5802 with SHA-256, without channel binding; the password is taken as it is (no SASLprep)."""
        if b"SCRAM-SHA-256" not in mechanisms.split(b"\0"):
            raise ConnectionError("the server offers no SCRAM-SHA-256")
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f"n=,r={nonce}"
        message = ("n,," + first).encode()
        self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(message)) + message)
        kind, body = self._receive()
        if kind == b"E":
            raise PgError(self._fields(body))
        server_first = body[4:].decode()
        attributes = dict(a.split("=", 1) for a in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", (self.password or "").encode(), base64.b64decode(attributes["s"]),
                                     int(attributes["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={attributes['r']}"
        auth = f"{first},{server_first},{final}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        self._send(b"p", f"{final},p={proof}".encode())
        kind, body = self._receive()
        if kind == b"E":
            raise PgError(self._fields(body))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        expected = base64.b64encode(hmac.digest(server_key, auth, "sha256")).decode()
        if dict(a.split("=", 1) for a in body[4:].decode().split(","))["v"] != expected:
            raise ConnectionError("the server does not know the password's verifier")

    # ---- queries ----

    def query(self, sql):
        """Sends one Query message; returns the Results of its statements. The first error is raised after Ready."""
        self._send(b"Q", (sql if isinstance(sql, bytes) else sql.encode()) + b"\0")
        results, error, current = [], None, None
        while True:
            kind, body = self._receive()
            if kind == b"T":
                current = Result()
                current.columns = self._row_description(body)
            elif kind == b"D":
                current.rows.append(self._data_row(body))
            elif kind in (b"C", b"I"):
                current = current or Result()
                current.tag = body[:-1].decode() if kind == b"C" else ""
                results.append(current)
                current = None
            elif kind == b"E":
                error = error or PgError(self._fields(body))
                if self._fields(body).get("S") in ("FATAL", "PANIC"):
                    raise error
            elif kind == b"S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == b"G":
                self._send(b"f", b"COPY is not used here\0")
            elif kind == b"Z":
                self.status = body.decode()
                if error:
                    raise error
                return results

    @staticmethod
    def _row_description(body):
        columns, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            end = body.index(b"\0", at)
            name = body[at:end].decode()
            type_oid = struct.unpack("!i", body[end + 7:end + 11])[0]
            columns.append((name, type_oid))
            at = end + 19
        return columns

    @staticmethod
    def _data_row(body):
        row, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            length = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            if length < 0:
                row.append(None)
            else:
                row.append(body[at:at + length])
                at += length
        return row

    def close(self):
        try:
            self._send(b"X", b"")
        except OSError:
            pass
        self.sock.close()
