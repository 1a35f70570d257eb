import { testImage } from '../engine/image.ts'

/** A web process in an image: Perl without its modules, which the test image has not got. It answers with `version`. */
export const dockerApp = (version: string): Record<string, string> => ({
  Dockerfile: `FROM ${testImage}\nENV VERSION=${version}\nCOPY server.pl /server.pl\nCMD ["perl", "/server.pl"]\n`,
  'server.pl': SERVER,
})

const SERVER = String.raw`
$| = 1;
$SIG{CHLD} = 'IGNORE';
socket(my $listener, 2, 1, 6) or die "socket: $!";
setsockopt($listener, 1, 2, pack('i', 1));
bind($listener, pack('S n a4 x8', 2, $ENV{PORT}, "\0\0\0\0")) or die "bind: $!";
listen($listener, 128) or die "listen: $!";
print "$ENV{VERSION} listens\n";
while (accept(my $client, $listener)) {
  if (fork) { close $client; next }
  my $head = '';
  while ($head !~ /\r\n\r\n/) { sysread($client, my $more, 4096) or exit; $head .= $more }
  my $body = "$ENV{VERSION}\n";
  syswrite($client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
  exit;
}
`
