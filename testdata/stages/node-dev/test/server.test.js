const assert = require('assert');

describe('the app', () => {
  it('has a name', () => assert.equal(require('../package.json').name, 'my-web-app'));
});
