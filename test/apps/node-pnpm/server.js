const { createServer } = require('node:http')
const ms = require('ms')

createServer((_request, response) => response.end(`hello from pnpm, ${ms('1h')} ms\n`)).listen(process.env.PORT)
