/**
 * The web process of the sample app: Perl, because every stack image has it and nothing needs compiling, so that a push takes as
 * long as Sluice takes. Its answers begin with what the file `version` says. The environment tells it to misbehave:
 * BOOT_DELAY=seconds, BOOT=exit | deaf | wrong-port, HEALTH=ill | seconds of 503.
 *
 *   /            v1 web.1
 *   /env         its environment as JSON
 *   /healthz     the same as /, but with what HEALTH says for a status
 *   /ready       when it began to listen, ms since the epoch
 *   /slow?s=15   the same as / after so many seconds
 *   /live        500 once it was told /die
 *   /ill, /die   this dyno fails /healthz, or /live, from now on; /well ends both
 *   /deaf        this dyno lives on, but no longer listens, and ends connections that it has
 *   /crash       ends the dyno
 *   Upgrade: …   switches protocols and echoes
 */
export const server = String.raw`use strict;
use warnings;
use IO::Socket::INET;
$| = 1;
$SIG{CHLD} = 'IGNORE';

open my $file, '<', 'version' or die "version: $!";
chomp(my $version = <$file>);
my $boot = $ENV{BOOT} // '';
sleep $ENV{BOOT_DELAY} if $ENV{BOOT_DELAY};
if ($boot eq 'exit') { print STDERR "cannot reach the database\n"; exit 1 }
if ($boot eq 'deaf') { print "thinking forever\n"; sleep 3600 }
my $port = $boot eq 'wrong-port' ? $ENV{PORT} + 1 : $ENV{PORT};

my $listener = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 128, ReuseAddr => 1)
  or die "listen: $!";
print "$version listens on $port\n";
chomp(my $ready = qx(date +%s%3N));
my $began = time;
$SIG{USR1} = \&deafen;
while (1) {
  my $client = $listener->accept;
  if ($client) { attend($client) }
  else { $!{EINTR} or $!{ECONNABORTED} or die "accept: $!" }
}

sub attend {
  my ($client) = @_;
  my $pid;
  until (defined($pid = fork)) { print STDERR "fork: $!\n"; sleep 1 }
  if ($pid == 0) { close $listener; serve($client); exit 0 }
  close $client;
}

sub deafen {
  $listener->blocking(0);
  while (my $client = $listener->accept) { attend($client) }
  close $listener;
  sleep 3600;
}

sub serve {
  my ($client) = @_;
  $client->autoflush(1);
  my ($buffer, $served) = ('', 0);
  while (1) {
    while (index($buffer, "\r\n\r\n") < 0) { sysread($client, $buffer, 65536, length $buffer) or return }
    my ($head, $rest) = split /\r\n\r\n/, $buffer, 2;
    if ($head =~ /^Upgrade:/mi) {
      print $client "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n$rest";
      while (sysread $client, my $bytes, 65536) { print $client $bytes }
      return;
    }
    my ($size) = $head =~ /^Content-Length:\s*(\d+)/mi;
    $size //= 0;
    while (length $rest < $size) { sysread($client, $rest, 65536, length $rest) or return }
    $buffer = substr $rest, $size;
    return if $served++ && -e '/tmp/deaf';
    my ($path) = $head =~ /^\S+ (\S+)/;
    my $body = answer($path);
    my $type = $path eq '/env' ? 'application/json' : 'text/plain';
    my $status = $path eq '/healthz' ? health() : $path eq '/live' && -e '/tmp/die' ? '500 Internal Server Error' : '200 OK';
    print $client "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    kill 'KILL', getppid if $path eq '/crash';
    return if $head =~ /^Connection:\s*close/mi;
  }
}

sub health {
  my $health = $ENV{HEALTH} // '';
  return '500 Internal Server Error' if $health eq 'ill' || -e '/tmp/ill';
  return $health =~ /^\d+$/ && time - $began < $health ? '503 Service Unavailable' : '200 OK';
}

sub answer {
  my ($path) = @_;
  if ($path =~ m{^/(ill|die|deaf)$}) { open my $mark, '>', "/tmp/$1" }
  kill 'USR1', getppid if $path eq '/deaf';
  unlink '/tmp/ill', '/tmp/die' if $path eq '/well';
  sleep $1 if $path =~ m{^/slow\?s=(\d+)};
  return '{' . join(',', map { quoted($_) . ':' . quoted($ENV{$_}) } sort keys %ENV) . '}' if $path eq '/env';
  return $ready if $path eq '/ready';
  return "$version $ENV{DYNO}\n";
}

sub quoted {
  my ($text) = @_;
  $text =~ s/([\x00-\x1f"\\])/sprintf '\\u%04x', ord $1/ge;
  return "\"$text\"";
}
`
