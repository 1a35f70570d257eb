/**
 * A process that prints numbered lines, `tick 17`, in Perl as the sample app: LINES a second (0: as fast as it can), each of LENGTH
 * bytes, for SECONDS or until there is a file UNTIL; two seconds later, when a flood is over, `printed 1000` and nothing more, but it stays.
 */
export const printer = String.raw`use strict;
use warnings;
use Time::HiRes qw(time sleep);
my ($rate, $length, $seconds) = ($ENV{LINES} // 50, $ENV{LENGTH} // 0, $ENV{SECONDS} // 1e9);
my ($n, $began) = (0, time);
sub put {
  my ($text) = @_;
  my $written = 0;
  while ($written < length $text) {
    $written += syswrite(STDOUT, $text, length($text) - $written, $written) // die "write: $!";
  }
}
sub tick {
  my $text = 'tick ' . $n++ . ' ';
  return $text . 'x' x ($length > length $text ? $length - length $text : 0) . "\n";
}
while (time - $began < $seconds && !($ENV{UNTIL} && -e $ENV{UNTIL})) {
  my $due = $rate ? int((time - $began) * $rate) : $n + 200;
  my $text = '';
  $text .= tick() while $n < $due;
  put($text) if $text ne '';
  sleep 0.01 if $rate;
}
sleep 2;
put("printed $n\n");
sleep 60 while 1;
`
