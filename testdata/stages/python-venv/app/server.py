import http.server
import pathlib

import checksum

PAGE = pathlib.Path(__file__).with_name("page.html").read_text()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = PAGE.replace("%SUM%", str(checksum.crc(b"hello"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
