import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IMAGE_LAUNCH } from '../../daemon/engine/launch-image.ts'

/** The script above a command in an image, as the first process of a PID namespace, without a container around it. */
async function launch(command: string): Promise<string> {
  const script = ['sh', '-c', IMAGE_LAUNCH, 'launch', command, '', '', 'mark']
  const child = spawn('unshare', ['--pid', '--fork', '--mount-proc', '--kill-child', 'setsid', ...script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said += text
  })
  child.stdout.resume()
  const [code, signal] = await once(child, 'close')
  return signal ? `still there after a minute, and ${signal}: ${said}` : `ended with ${code}`
}

/** As docker-init does, all of its process group: the command, the script and its watcher. */
const HANGUP = 'sleep 0.05; kill -s HUP 0; sleep 600'

test('what is hung up ends at once each time: the watcher beside it leaves no process behind that is waited for', async () => {
  const ends: string[] = []
  for (let round = 0; round < 5; round++)
    ends.push(...(await Promise.all(Array.from({ length: 10 }, () => launch(HANGUP)))))
  assert.equal([...new Set(ends)], ['ended with 129'])
})

test.run()
