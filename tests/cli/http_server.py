"""A real HTTP server on the loopback interface whose answers can be as wrong as a test wants."""

import re
import socket
import threading


class Request:
    """One request: its path, headers (names in lower case), and how many came for this path before it."""

    def __init__(self, text, before):
        lines = text.split("\r\n")
        self.path = lines[0].split(" ")[1]
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        self.before = before

    @property
    def range_start(self):
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else None


class Server:
    """Answers each path by its function(request) -> pieces: bytes are sent, None resets the connection, seconds wait."""

    def __init__(self):
        self.answers, self.requests = {}, []
        self.closing = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.closing.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)

    def accept(self):
        while not self.closing.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            text = b""
            while b"\r\n\r\n" not in text:
                piece = connection.recv(4096)
                if not piece:
                    return
                text += piece
            path = text.split(b" ")[1].decode()
            request = Request(text.decode("latin-1"), sum(path == other.path for other in self.requests))
            self.requests.append(request)
            try:
                for piece in self.answers.get(path, not_found)(request):
                    if piece is None:  # a reset, not an orderly end
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        return
                    if isinstance(piece, bytes):
                        connection.sendall(piece)
                    elif self.closing.wait(piece):
                        return
            except OSError:  # the client has had enough
                pass


def head(status, *headers, length=None):
    lines = [f"HTTP/1.1 {status} whatever", "Connection: close", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def not_found(_request):
    return [head(404, length=5), b"none\n"]


def whole(body, *headers):
    """As a well-behaved server answers, without ranges."""
    return lambda request: [head(200, *headers, length=len(body)), body]


def breaking(body, pieces, *headers, honours_range=True):
    """The i-th answer breaks off after pieces[i] bytes; further ones are whole. Ranges are honoured while If-Range fits."""

    def answer(request):
        start = request.range_start or 0
        validators = [line.split(": ", 1)[1].lower() for line in headers]
        if not honours_range or ("if-range" in request.headers and request.headers["if-range"] not in validators):
            start = 0
        length = len(body) - start
        sent = body[start:][: pieces[request.before]] if request.before < len(pieces) else body[start:]
        if start:
            first = head(206, f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}", *headers, length=length)
        else:
            first = head(200, *headers, length=length)
        return [first, sent]

    return answer


def redirect(target, status=302):
    return lambda request: [head(status, f"Location: {target}", length=0)]
