/**
 * A Node.js app without dependencies. Answers with `say`, and at /build with the environment that its build had. `postbuild` is
 * what its build does besides.
 */
export const nodeApp = (say: string, postbuild = 'true'): Record<string, string> => ({
  'package.json': JSON.stringify({
    name: 'hello',
    version: '1.0.0',
    private: true,
    scripts: { start: 'node server.js', 'heroku-postbuild': `node record.js && ${postbuild}` },
  }),
  'record.js': "require('node:fs').writeFileSync('build.json', JSON.stringify(process.env))\n",
  'server.js': `const { readFileSync } = require('node:fs')
require('node:http')
  .createServer(({ url }, reply) => reply.end(url === '/build' ? readFileSync('build.json') : '${say}\\n'))
  .listen(process.env.PORT)
`,
})
