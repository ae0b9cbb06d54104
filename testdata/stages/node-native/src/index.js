const http = require('http');
const checksum = require('bindings')('checksum');

http.createServer((req, res) => res.end(`checksum ${checksum.sum('hello')}\n`)).listen(3000);
