import { PassThrough } from 'node:stream'
import ssh2 from 'ssh2'
import { limits } from '../../limits.ts'
import type { Line } from './channel.ts'
import { wordsOf } from './converse.ts'
import type { Run } from './dyno-command.ts'
import { absolute, type DynoFile, FileRefusal, inspect, openFile } from './dyno-file.ts'
import { answer, packetsIn, parseRequest, type Request } from './sftp-packet.ts'

const { STATUS_CODE } = ssh2.utils.sftp

/** Lets a client read files of the dyno, one request after the other; what would change a file is refused. */
export async function serveSftp(line: Line, run: Run): Promise<void> {
  const files = new Map<string, DynoFile>()
  const input = line.channel.pipe(new PassThrough())
  const close = () => {
    for (const file of files.values()) file.close()
  }
  line.gone.addEventListener('abort', () => {
    input.destroy()
    close()
  })
  try {
    for await (const packet of packetsIn(input, limits.sftpPacket))
      if (!(await line.write(await respond(parseRequest(packet), { files, run, signal: line.gone })))) break
  } catch {
    // it has gone, or does not speak SFTP
  } finally {
    close()
    line.end(0)
  }
}

interface Reading {
  files: Map<string, DynoFile>
  run: Run
  signal: AbortSignal
}

async function respond(request: Request, reading: Reading): Promise<Buffer> {
  if (request.kind === 'init') return answer.version()
  try {
    return await grant(request, reading)
  } catch (error) {
    const status = error instanceof FileRefusal ? error.status : STATUS_CODE.FAILURE
    return answer.status(request.id, status, error instanceof FileRefusal ? error.message : wordsOf(error))
  }
}

async function grant(request: Exclude<Request, { kind: 'init' }>, reading: Reading): Promise<Buffer> {
  const { id } = request
  const { files, run, signal } = reading
  switch (request.kind) {
    case 'open': {
      if (request.writes) throw readOnly()
      if (files.size >= limits.sftpFiles)
        throw new FileRefusal(STATUS_CODE.FAILURE, `At most ${limits.sftpFiles} files may be open. Close one first.`)
      const handle = String(id)
      if (files.has(handle)) throw new FileRefusal(STATUS_CODE.BAD_MESSAGE, 'That number is in use.')
      files.set(handle, await openFile(run, request.path, signal))
      return answer.handle(id, handle)
    }
    case 'read': {
      const data = await opened(files, request.handle).read(request.offset, Math.min(request.length, limits.sftpRead))
      return data ? answer.data(id, data) : answer.status(id, STATUS_CODE.EOF, 'End of file')
    }
    case 'fstat':
      return answer.attributes(id, opened(files, request.handle).attributes)
    case 'close':
      opened(files, request.handle).close()
      files.delete(request.handle)
      return answer.status(id, STATUS_CODE.OK, 'Closed')
    case 'stat':
      return answer.attributes(id, await inspect(run, request.path, request.follow, signal))
    case 'realpath':
      return answer.name(id, absolute(request.path))
    case 'change':
      throw readOnly()
    case 'other':
      throw new FileRefusal(STATUS_CODE.OP_UNSUPPORTED, 'Only single files can be read here.')
    default:
      return request satisfies never
  }
}

function opened(files: Map<string, DynoFile>, handle: string): DynoFile {
  const file = files.get(handle)
  if (!file) throw new FileRefusal(STATUS_CODE.FAILURE, 'That file is not open.')
  return file
}

const readOnly = (): FileRefusal =>
  new FileRefusal(STATUS_CODE.PERMISSION_DENIED, 'Files of a dyno can only be read; deploy to change them.')
