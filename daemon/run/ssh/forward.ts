import type { Forwarded } from './connection.ts'
import { converse } from './converse.ts'
import { announced, drain, quote, type Run } from './dyno-command.ts'

export interface Target {
  host: string
  port: number
}

/** What clients call the dyno itself; the CLI's ps:forward says 0.0.0.0. */
const ITSELF = new Set(['0.0.0.0', '127.0.0.1', 'localhost'])

/** Where inside the dyno a client's wish leads; `undefined` for anywhere else: the tunnel leads to one dyno, not into its network. */
export function destination(address: string | null, { host, port }: Target): Target | undefined {
  if (port < 1 || port > 0xffff) return undefined
  if (ITSELF.has(host)) return { host: '127.0.0.1', port }
  return host === address ? { host, port } : undefined
}

/**
 * Connects a client with a port of the dyno, from inside it, so that what listens on its loopback only is reached too. The channel is
 * accepted once the port has.
 */
export async function forward(run: Run, { host, port }: Target, visit: Forwarded): Promise<void> {
  const command = (mark: string) => `exec perl -e ${quote(PIPE)} ${mark} ${host} ${port}`
  const connected = await announced(run, command, visit.gone).catch(() => undefined)
  if (connected?.words[0] !== 'connected') {
    visit.reject()
    return connected && drain(connected.process)
  }
  if (visit.gone.aborted) return void connected.process.hangup().catch(() => {})
  const line = visit.line(visit.accept())
  await converse(line, { kind: 'pipes' }, { merged: false, status: false, open: async () => connected.process })
}

/**
 * Perl, because bash cannot end one direction of a connection alone, and every stack image has Perl. It ends when the port's side does.
 */
const PIPE = `use strict;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
my ($mark, $host, $port) = @ARGV;
my $peer = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 10);
if (!$peer) { syswrite STDOUT, "$mark refused\\n"; exit 1 }
setsockopt $peer, IPPROTO_TCP, TCP_NODELAY, 1;
syswrite STDOUT, "$mark connected\\n";
my $sender = fork;
die "fork: $!" unless defined $sender;
if ($sender == 0) {
  close STDOUT;
  copy(\\*STDIN, $peer);
  shutdown $peer, 1;
  exit 0;
}
close STDIN;
copy($peer, \\*STDOUT);
kill KILL => $sender;
sub copy {
  my ($from, $to) = @_;
  while (sysread $from, my $bytes, 65536) {
    my $sent = 0;
    while ($sent < length $bytes) { $sent += syswrite($to, $bytes, length($bytes) - $sent, $sent) // return }
  }
}`
