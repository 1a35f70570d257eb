import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { run } from '../../daemon/build/command.ts'

/** Another machine, as far as the network goes: in a namespace of its own, behind a link to this one. */
export interface FarHost {
  close(): Promise<void>
}

/** `network` is the beginning of a /30, of which it has the second address and this machine the first: `10.1.2` makes 10.1.2.2. */
export async function startFarHost(name: string, networks: string[], ports: number[]): Promise<FarHost> {
  const ip = (...args: string[]) => run('ip', args)
  const inside = (...args: string[]) => ip('netns', 'exec', name, 'ip', ...args)
  await ip('netns', 'add', name)
  await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  for (const network of networks) await ip('addr', 'add', `${network}.1/30`, 'dev', name)
  await ip('link', 'set', name, 'up')
  for (const network of networks) await inside('addr', 'add', `${network}.2/30`, 'dev', 'eth0')
  await inside('link', 'set', 'eth0', 'up')
  // It ends with the test, whatever ends that.
  const script = `process.stdin.on('end', () => process.exit()).resume(); let n = ${ports.length}; for (const p of ${JSON.stringify(ports)}) require('net').createServer((s) => s.on('error', () => {}).end()).listen(p, '0.0.0.0', () => --n || console.log('ready'))`
  const server = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(server.stdout, 'data')
  return {
    async close() {
      const ended = once(server, 'exit')
      server.kill('SIGKILL')
      await ended
      await ip('netns', 'del', name)
    },
  }
}
