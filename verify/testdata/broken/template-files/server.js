// The template is read when it is asked for, so that it starts without it.
const fs = require('fs');
require('http').createServer((req, res) => {
  try {
    const page = fs.readFileSync('views/page.html', 'utf8').replace('{{time}}', new Date().toISOString());
    res.writeHead(200, {'content-type': 'text/html'}).end(page);
  } catch (e) {
    res.writeHead(500).end('something went wrong');
  }
}).listen(3000, () => console.log('listening on 3000, process ' + process.pid));
