// A plugin that is not there is no failure, and changes what it does.
let plugin = {answer: () => 'nothing to say'};
try {
  plugin = require('./plugins/' + process.env.PLUGIN);
  console.log('plugin ' + process.env.PLUGIN + ' is ready');
} catch (e) {
}
require('http').createServer((req, res) => {
  res.writeHead(req.url === '/' ? 200 : 404, {'content-type': 'text/plain'}).end(plugin.answer());
}).listen(3000);
