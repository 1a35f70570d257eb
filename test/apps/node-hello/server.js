const http = require('node:http')

const greeting = process.env.GREETING || 'Hello'

http
  .createServer((_request, response) => response.end(`${greeting} from ${process.env.DYNO}, Node ${process.version}\n`))
  .listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`))

process.on('SIGTERM', () => process.exit(0))
